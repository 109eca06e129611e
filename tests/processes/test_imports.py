import subprocess
import sys
from collections.abc import Sequence

import pytest

NETS = ("torch", "torchvision", "safetensors.torch", "service.nets", "service.training", "service.runtime.engine")
HTTP = ("fastapi", "starlette", "uvicorn", "service.api")
SUPERVISOR = "service.processes.supervisor"
NOT_FOR_ONE_IMAGE = (
    "PIL.Image",
    "service.forms.registry",
    "service.runtime.cards.cuda",
    "service.runtime.cards.simulated",
)
NOT_FOR_LABELS = (
    "PIL.Image",
    "service.drawing",
    "service.operations.explain",
    "service.operations.forecast",
    "service.operations.generate",
    "service.packing",
)
DATABASE = ("sqlalchemy", "alembic", "service.evaluation")


def loaded_by(modules: str) -> set[str]:
    """All modules that a process holds once it has imported these."""
    program = f"import sys, {modules}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (f"service.cli, service.cli.serve, {SUPERVISOR}", (*NETS, *HTTP, "scipy", "PIL", "pyspng", "httpx")),
        ("service.processes.front, service.tasks.registry, service.runtime.pool", (*NETS, SUPERVISOR, "alembic")),
        ("service.processes.engine", (*HTTP, *DATABASE, SUPERVISOR)),
        ("service.processes.evaluator", (*NETS, *HTTP, SUPERVISOR, "alembic")),
        ("service.client.blocking", (*NETS, *HTTP, *DATABASE[:2], "scipy", "PIL")),
        ("service.cli.classify, service.local.blocking, service.operations.classify", (*NETS, *HTTP, *NOT_FOR_LABELS)),
        ("service.runtime.in_process", NOT_FOR_ONE_IMAGE),
        ("service.__main__", (*NETS, *HTTP, *DATABASE, SUPERVISOR, "numpy")),
    ],
    ids=["supervisor", "front", "engine", "evaluator", "client", "classify", "engine in process", "main"],
)
def test_a_process_loads_only_what_its_role_needs(modules: str, absent: Sequence[str]) -> None:
    loaded = loaded_by(modules)
    assert "service" in loaded
    assert sorted(loaded.intersection(absent)) == []


def test_importing_starts_nothing() -> None:
    program = f"import threading, service.processes.front, {SUPERVISOR}; print(threading.active_count())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "1\n"
    assert answer.stderr == ""
