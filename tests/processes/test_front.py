import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "safetensors.torch", "service.nets", "service.training", "service.runtime.engine")


@pytest.mark.parametrize(
    "modules",
    [
        "service.processes.front, service.tasks.registry, service.runtime.pool",
        "service.processes.supervisor, service.cli.serve",
        "service.client.blocking",
        "service.__main__",
    ],
)
def test_only_engines_import_torch(modules: str) -> None:
    program = f"import sys, {modules}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = answer.stdout.split()
    assert "service.errors" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_importing_starts_nothing() -> None:
    program = "import threading, service.processes.front, service.processes.supervisor; print(threading.active_count())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "1\n"
    assert answer.stderr == ""
