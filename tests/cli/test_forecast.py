import json
from pathlib import Path

import numpy as np
import pytest
from cli.conftest import Run
from doubles import add_forecaster

from service.datasets.mackey_glass import mackey_glass
from service.settings import Settings

SERIES = mackey_glass(320)[:, 0]


@pytest.fixture(autouse=True)
def _forecaster(local_settings: Settings) -> None:
    assert local_settings.models_dir is not None
    add_forecaster(local_settings.models_dir)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    path.write_text("x\n" + "\n".join(map(repr, SERIES[:300].tolist())))
    return path


def test_the_next_steps_are_printed_with_their_interval(run: Run, where: tuple[str, ...], history: Path) -> None:
    result = run("forecast", history, "--horizon", 20, "--model", "murmur", *where)
    assert result.exit_code == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header == "step,value_0,low_0,high_0"
    table = np.array([line.split(",") for line in lines], dtype=float)
    assert table[:, 0].tolist() == list(range(1, 21))
    assert np.abs(table[:, 1] - SERIES[300:]).max() < 0.2
    assert (table[:, 2] <= table[:, 1]).all()
    assert (table[:, 3] >= table[:, 1]).all()


def test_here_and_over_http_the_answer_is_the_same(run: Run, server: str, history: Path) -> None:
    asked = ("forecast", history, "-n", 5, "--model", "murmur", "--fit", "--json")
    here, there = (json.loads(run(*asked, *where).stdout) for where in ((), ("--server", server)))
    assert here["fit"]
    np.testing.assert_allclose(here["forecast"], there["forecast"])


def test_what_was_chosen_goes_to_standard_error(run: Run, history: Path) -> None:
    result = run("forecast", history, "-n", 5, "--model", "murmur", "--fit", "--season", 47)
    assert result.exit_code == 0
    assert "history.csv: values are forecast by a readout of penalty" in result.stderr
    assert "a season of 47 steps" in result.stderr


def test_warnings_go_to_standard_error(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    path.write_text(json.dumps(SERIES[:21].tolist()))
    result = run("forecast", path, "-n", 2, "--model", "murmur")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "step,value_0"
    assert "too short to measure" in result.stderr


def test_a_gap_in_the_file_is_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    path.write_text("1\n\n2\n-\n")
    result = run("forecast", path, "-n", 2, "--model", "murmur")
    assert result.exit_code == 2
    assert "gap.csv: step 3 has '-' where a number should be" in result.stderr
