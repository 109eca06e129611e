import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from cli.conftest import Run
from typer.testing import CliRunner

from service import __version__
from service.cli import app
from service.cli.commands import COMMANDS, load
from service.imaging import encode_png

HEAVY = ("asyncio", "fastapi", "httpx", "numpy", "PIL", "pydantic", "rich", "sqlalchemy", "torch", "uvicorn")
WHAT_EVALUATES_OR_SERVES = (
    "fastapi",
    "httpx",
    "scipy",
    "service.evaluation",
    "service.training",
    "sqlalchemy",
    "uvicorn",
)


def test_the_commands_are_those_of_the_readme() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    single = ("serve", "train", "evaluate", "generate", "classify", "forecast", "bench")
    for name in (*single, "models", "metrics", "data", "references"):
        assert f" {name} " in shown


def test_help_loads_nothing_heavy() -> None:
    words = f"import sys, service.cli; print([name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"


def test_the_page_of_help_loads_no_command() -> None:
    words = (
        "import sys; from service.cli import app; app(['--help'], standalone_mode=False);"
        " print(sorted(name for name in sys.modules if name.startswith('service.')))"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "['service.cli', 'service.cli.commands']"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    assert load(name).help.split("\n\n")[0].replace("\n", " ") == COMMANDS[name].what


def test_classifying_loads_nothing_that_evaluates_or_serves(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(encode_png(np.zeros((28, 28, 1), np.uint8)))
    words = (
        "import sys; from service.cli import app;"
        f" app(['classify', {str(image)!r}], standalone_mode=False);"
        f" print([name for name in {WHAT_EVALUATES_OR_SERVES} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_a_command_ends_without_a_search_of_what_is_alive() -> None:
    words = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0));"
        " from service.cli import app; app(['metrics', 'list'])"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "True"


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"chapterhouse {__version__}\n")


def _commands(group: object, path: str = "") -> Iterator[tuple[str, object]]:
    for name, command in getattr(group, "commands", {}).items():
        yield f"{path} {name}".strip(), command
        yield from _commands(command, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(_commands(typer.main.get_command(app))))
def test_every_command_and_every_option_is_explained(path: str, command: object) -> None:
    assert getattr(command, "help", None), path
    for parameter in getattr(command, "params", []):
        assert getattr(parameter, "help", None), f"{path} {parameter.name}"


@pytest.mark.parametrize("command", ["serve", "classify x.png", "models list", "data list", "references list", "bench"])
def test_a_wrong_setting_is_one_sentence(command: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_PORT", "many")
    result = run(*command.split())
    assert result.exit_code == 2
    assert result.stderr.startswith("chapterhouse: CHAPTERHOUSE_PORT: ")
    assert result.stderr.count("\n") == 1
