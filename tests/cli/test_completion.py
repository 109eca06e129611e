import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli.test_app import _commands
from typer.testing import CliRunner

from service.cli import app
from service.cli.completion import datasets, described_models, metrics, models, references

SEVEN = Path(__file__).parent.parent / "data" / "seven.png"
COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.usefixtures("local_settings")
def test_names_are_those_that_there_are() -> None:
    assert models("ec") == ["echo"]
    assert set(models("")) <= set(described_models(""))
    assert "mnist" in datasets("mn")
    assert references("no") == []


def test_of_several_metrics_the_last_is_completed() -> None:
    assert metrics("fi") == ["fid", "fid_infinity"]
    assert metrics("kid,fi") == ["kid,fid", "kid,fid_infinity"]
    assert metrics("fid,fi") == ["fid,fid_infinity"]


def test_where_names_cannot_be_read_none_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_PORT", "many")
    assert models("") == references("") == []


def test_a_shell_is_offered_them() -> None:
    words = "import sys; from service.cli import app; app(prog_name='chapterhouse')"
    typed = {"COMP_WORDS": "chapterhouse evaluate samples.npz --reference-name mni", "COMP_CWORD": "4"}
    asked = os.environ | typed | {"_CHAPTERHOUSE_COMPLETE": "complete_bash"}  # noqa: TID251 - passed on
    said = subprocess.run([sys.executable, "-c", words], env=asked, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["mnist-test"]


@pytest.mark.parametrize("path", ["", *COMMANDS])
def test_help_fits_eighty_columns(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [*path.split(), "--help"]).stdout
    assert "Usage" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert not re.search(r"\w… │", shown), "a word is cut off"


@pytest.mark.parametrize(
    ("typed", "meant"), [("clasify", "classify"), ("models lst", "list"), ("state bakup", "backup")]
)
def test_a_mistyped_command_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    ended = CliRunner().invoke(app, typed.split())
    assert ended.exit_code == 2
    assert f"'{meant}'" in ended.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("classify seven.png --model lenet-mnist", "Did you mean 'lenet5-mnist'?"),
        ("train lenet5-mnst", "Did you mean 'lenet5-mnist'?"),
        ("metrics list fdi", "Did you mean 'fid'?"),
        ("data fetch mnits", "Did you mean 'mnist'?"),
        ("evaluate seven.png --reference-name mnist-tset", "Did you mean 'mnist-test'?"),
        ("evaluate seven.png --reference-name mnist-test --thresholds fdi<=3", "(did you mean 'fid'?)"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(
    typed: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(SEVEN.parent)
    ended = CliRunner().invoke(app, typed.split())
    assert ended.exit_code == 2
    assert ended.stderr.count(said) == 1
