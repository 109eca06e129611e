"""Every example of README.md and docs/ is carried out: curl is answered, and a command understands what it is told."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import typer
from running import running_service
from typer.testing import CliRunner
from waiting import PATIENCE_S

from service.cli import app
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").rglob("*.md")) if not path.stem.endswith("-zh"))]
"""Those in Chinese have the same examples: `tests/test_languages.py`."""
ADDRESS = "http://127.0.0.1:8000"
TOKEN = "~/.local/share/chapterhouse/tokens/8000"
FEWER = {'"count": 5000': '"count": 200', '"count": 1000': '"count": 200'}
"""Counts for a test: what is asked stays the same."""


def examples(path: Path, program: str) -> list[str]:
    """The lines of a page's blocks that begin with a program."""
    blocks = re.findall(r"^```console\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(f"{program} ")]


ASKING = [path for path in PAGES if any(ADDRESS in line for line in examples(path, "curl"))]
TOLD = sorted({line for path in PAGES for line in examples(path, "chapterhouse")})


LEFT_OUT = {
    "calibrate": "it trains a twin",
    "data": "it asks a publisher",
    "models fetch": "it asks a publisher",
    "references make": "it looks through a dataset",
    "serve": "it goes on",
    "train": "it takes minutes",
}
"""Commands that are only held to be understood, and why."""
FETCHED = ("imagenet", "inception")
"""Models whose weights are not here."""


def is_run(line: str) -> bool:
    """Whether a test carries a command out."""
    told = line.removeprefix("chapterhouse ")
    return not told.startswith(tuple(LEFT_OUT)) and not any(model in told for model in FETCHED)


RUN = {path: lines for path in PAGES if (lines := [line for line in examples(path, "chapterhouse") if is_run(line)])}


class Reader(NamedTuple):
    """A service, and the folder in which a reader of the pages stands."""

    address: str
    folder: Path
    token: Path

    def run(self, line: str) -> subprocess.CompletedProcess[bytes]:
        """What a line of a page does here; curl ends with an error where the answer is one."""
        for shown, here in {ADDRESS: self.address, TOKEN: str(self.token), "curl ": "curl -f ", **FEWER}.items():
            line = line.replace(shown, here)
        return subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True, check=False)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "tests").symlink_to(ROOT / "tests")
    settings = Settings(state_dir=folder / "state", fronts=1, threads=1)
    migrate(Database.of(settings))
    with running_service(settings) as address:
        yield Reader(address, folder, settings.token_file(httpx.URL(address).port or 0))


@pytest.mark.slow
@pytest.mark.parametrize("path", ASKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_asks_is_answered(reader: Reader, path: Path) -> None:
    for line in examples(path, "curl"):
        ended = reader.run(line)
        assert ended.returncode == 0, f"$ {line}\n{ended.stderr.decode()}"


@pytest.mark.slow
def test_the_error_that_is_shown_is_the_one_that_comes(reader: Reader) -> None:
    [shown] = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.DOTALL)
    assert httpx.post(f"{reader.address}/generate", json={"count": 0}, timeout=PATIENCE_S).json() == json.loads(shown)


@pytest.mark.parametrize("line", TOLD)
def test_a_command_understands_what_it_is_told(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    _, *words = shlex.split(line.partition(" > ")[0])
    for word in words:
        if re.fullmatch(r"[\w.]+\.(npz|png|jpg|onnx|json)|samples|real", word) and not os.path.lexists(word):
            Path(word).touch()
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words:
        assert words[0] in command.commands, f"`chapterhouse` has no {words[0]}"
        command = command.commands[words.pop(0)]
    command.make_context("chapterhouse", words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in RUN if path.stem not in ("evaluating", "own-models")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_a_page_has_commands_do_is_done(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of docs/evaluating.md are `tests/test_guide.py`'s, of docs/own-models.md `tests/test_own_models.py`'s."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CHAPTERHOUSE_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for line in RUN[path]:
        told = re.sub(r"--count \d+", "--count 200", line)
        if "samples.npz" in told and " generate " not in told and not Path("samples.npz").exists():
            CliRunner().invoke(app, shlex.split("generate gan-mnist --count 200 --output samples.npz"))
        ended = CliRunner().invoke(app, shlex.split(told)[1:])
        judged = (0, 1) if " evaluate " in told else (0,)  # 1: a threshold did not hold
        assert ended.exit_code in judged, f"$ {line}\n{ended.output}"
