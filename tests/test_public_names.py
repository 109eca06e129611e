"""What `import chapterhouse` gives: these names, as these types, and nothing loaded before it is used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chapterhouse
from service import errors

SOURCE = Path(chapterhouse.__file__).read_text("utf-8")
GUARD = "TYPE_CHECKING"
HEAVY = {"torch", "scipy", "PIL", "pyspng", "fastapi", "starlette", "numpy", "pydantic", "httpx", "sqlalchemy"}

CLASSES = ["AsyncClient", "AsyncLocal", "Client", "Evaluation", "Local", "Settings"]
RESULTS = [
    "Classification",
    "Drawn",
    "EvaluationState",
    "Explained",
    "ExplainedArrays",
    "ForecastReply",
    "Generated",
    "ModelDetail",
    "ModelSummary",
    "ReferenceSummary",
    "Report",
    "Score",
    "UnitsReply",
]
METRICS = [
    "coverage",
    "density",
    "fid",
    "fid_infinity",
    "inception_score",
    "kid",
    "memorisation",
    "mmd",
    "mode_score",
    "one_nn",
    "precision",
    "recall",
    "sliced_wasserstein",
    "wasserstein",
]


def test_the_public_names_are_these() -> None:
    assert sorted(chapterhouse.__all__) == sorted(["__version__", "errors", *CLASSES, *RESULTS, *METRICS])
    assert dir(chapterhouse) == sorted(chapterhouse.__all__)


@pytest.mark.parametrize("name", chapterhouse.__all__)
def test_a_public_name_is_there_under_its_own_name(name: str) -> None:
    found = getattr(chapterhouse, name)
    assert getattr(found, "__name__", name).removeprefix("service.") == name
    assert vars(chapterhouse)[name] is found


def test_type_checkers_are_told_the_same() -> None:
    [told] = [
        node
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ][:1]
    imported = [
        (node.module, alias.name, alias.asname)
        for node in told.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert all(name == shown for _, name, shown in imported)  # as type checkers want what is exported
    homes = [(module, name) for module, names in chapterhouse.NAMES.items() for name in names]
    assert sorted((module, name) for module, name, _ in imported) == sorted(homes)


def test_what_is_no_public_name_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'chapterhouse' has no attribute 'Cleint'"):
        _ = chapterhouse.Cleint  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'fidd'"):
        from chapterhouse import fidd  # type: ignore[attr-defined]  # noqa: F401


def test_errors_are_caught_by_their_public_names() -> None:
    assert chapterhouse.errors is errors


def loaded_by(program: str) -> set[str]:
    """Those of the heavy packages that a program loads."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return HEAVY.intersection(ran.stdout.split())


@pytest.mark.parametrize(
    ("program", "loaded"),
    [
        ("import chapterhouse", set()),
        ("from chapterhouse import Client; Client()", {"numpy", "pydantic", "httpx"}),
        ("from chapterhouse import fid", {"numpy", "pydantic", "scipy"}),
        ("import chapterhouse; chapterhouse.errors.Overloaded", set()),
    ],
)
def test_nothing_is_loaded_before_it_is_used(program: str, loaded: set[str]) -> None:
    assert loaded_by(program) == loaded


def test_torch_is_not_loaded_before_there_is_work() -> None:
    assert "torch" not in loaded_by("from chapterhouse import Evaluation, Local; Local()")


PROGRAM = """
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from chapterhouse import AsyncClient, Client, Evaluation, Generated, Local, Report, Score, errors, fid, inception_score


def here(images: torch.Tensor) -> float:
    with Local() as local:
        samples: Generated = local.generate("gan-mnist", count=8, seed=1)
        label: str = local.classify(samples.samples, top_k=1).predictions[0].labels[0].label
        print(label, local.models()[0].task, [state.status for state in local.follow("e1")])
    with Evaluation("mnist-test", ["fid"], value_range=(-1, 1)) as evaluation:
        evaluation.update(images)
        report: Report = evaluation.compute()
        return report.fid


def there(address: str) -> str:
    with Client(address, token="a key") as client:
        try:
            report = client.evaluate("samples.npz", Path("real.zip"), metrics=["fid"], thresholds="fid<=30")
        except errors.Overloaded as refused:
            return f"again in {refused.retry_after_s} s"
        return "passed" if report.verdict and report.verdict.passed else "failed"


async def meanwhile(address: str) -> int:
    async with AsyncClient(address) as client:
        async for state in client.follow("e1"):
            print(state.progress)
        return len(await client.references())


score: Score = fid(np.zeros((9, 2)), torch.zeros(9, 2), intervals=True)
print(score.value, float(inception_score(np.full((20, 2), 0.5), splits=2)))
"""
WRONG = """
import chapterhouse
chapterhouse.Client().classify(3)
chapterhouse.Client().models(limit=3)
chapterhouse.Evaluation(value_range="unit")
chapterhouse.kid([1.0], [2.0], subset=3)
chapterhouse.Local().evaluate("a").fiid
chapterhouse.Cleint
"""


@pytest.mark.slow
@pytest.mark.parametrize(("program", "wrong"), [(PROGRAM, []), (WRONG, [3, 4, 5, 6, 7, 8])], ids=["right", "wrong"])
def test_a_program_is_checked_strictly_against_the_public_types(
    program: str, wrong: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(chapterhouse.__file__).parents[1]
    monkeypatch.setenv("MYPYPATH", str(root))
    (tmp_path / "program.py").write_text(program)
    options = ["--strict", "--config-file=", f"--cache-dir={root / '.mypy_cache' / 'public'}"]
    command = [sys.executable, "-m", "mypy", *options, "program.py"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error: ", ran.stdout, re.MULTILINE)}
    assert sorted(found) == wrong, ran.stdout + ran.stderr
