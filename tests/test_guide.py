"""docs/evaluating.md is so: its commands and its Python run, and its figures are those that were measured."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from evaluation.packing import digits, npz, pngs
from typer.testing import CliRunner

from chapterhouse import Evaluation, Local
from service.cli import app
from service.metrics.registry import DEFAULT_METRICS, METRICS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "evaluating.md").read_text("utf-8")
MEASURED = (ROOT / "docs" / "thresholds.md").read_text("utf-8")
EXTRACTOR = re.compile(r"inception-v3-fid(?:-torch|-clean)?")
FETCHED = "lenet5-mnist"
"""What looks in the place of an extractor that would have to be fetched."""

BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
MOVED = re.findall(r"^\| (.+) \| (.+) \|$", PAGE.partition("## Moving over")[2], re.MULTILINE)
HERE = [code for _, cell in MOVED for code in re.findall(r"`([^`]+)`", cell)]
COMMANDS = list(dict.fromkeys(word for word in [*SHOWN, *HERE] if word.startswith("chapterhouse ")))
CALLS = [code for code in HERE if code.startswith("local.")]
LOOPS = [code for code in HERE if code.startswith("Evaluation(")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a reader of the page stands: in a folder with the files that it names, and a state of its own."""
    here = tmp_path_factory.mktemp("reader")
    for name, seed in (("samples", 1), ("real", 2)):
        (here / name).mkdir()
        for file, data in pngs(digits(120, seed=seed, size=28)):
            (here / name / file).write_bytes(data)
    npz(here / "real.npz", {"mu": np.zeros(84), "sigma": np.eye(84)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAPTERHOUSE_STATE_DIR", str(here / "state"))
        patch.setenv("CHAPTERHOUSE_THREADS", "1")
        patch.chdir(here)
        yield here


def runnable(command: str) -> str:
    """A command for the few samples of this test; empty for one that would ask a publisher for weights."""
    command = EXTRACTOR.sub(FETCHED, command).replace(" --option kid.subset_size=1000", "")
    command = command.replace("kid.subsets=100", "kid.subsets=10 --option kid.subset_size=50")
    return "" if " models fetch " in command else command


@pytest.mark.slow
def test_its_commands_run(folder: Path) -> None:
    asked = {words: command for command in COMMANDS if (words := runnable(command))}
    for words, command in asked.items():
        told, _, target = words.partition(" > ")
        ended = CliRunner().invoke(app, shlex.split(told)[1:])
        assert ended.exit_code == 0, f"$ {command}\n{ended.output}"
        if target:
            (folder / target).write_text(ended.stdout, "utf-8")


@pytest.mark.usefixtures("folder")
def test_its_python_runs() -> None:
    moments = {"mu1": np.zeros(8), "sigma1": np.eye(8), "mu2": np.ones(8), "sigma2": np.eye(8)}
    with Local() as local:
        names = {"local": local, "Path": Path, "Evaluation": Evaluation, **moments}
        for call in CALLS:
            eval(EXTRACTOR.sub(FETCHED, call), names)
        assert "mine" in {reference.name for reference in local.references()}
        for loop in LOOPS:
            eval(EXTRACTOR.sub(FETCHED, loop), names).close()


def test_what_stands_on_the_left_is_as_the_other_tool_is_told() -> None:
    for there, _ in MOVED:
        for code in re.findall(r"`([^`]+)`", there):
            if "(" in code:
                ast.parse(code)


def test_each_metric_that_is_measured_unasked_is_said_to_miss_something() -> None:
    table = PAGE.partition("## Which metric when")[2].partition("\n## ")[0]
    asked = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|[^|]+\|([^|]+)\|", table, re.MULTILINE))))
    assert set(DEFAULT_METRICS) <= asked <= set(METRICS)


def test_its_figures_are_those_that_were_measured() -> None:
    figures = re.findall(r"[\d.]+ ± [\d.]*\d", PAGE)
    assert len(figures) >= 2
    assert [figure for figure in figures if figure not in MEASURED] == []
