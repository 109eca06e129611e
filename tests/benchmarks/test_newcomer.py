"""The newcomer's path is the README's: each of its lines is a step with a name."""

from pathlib import Path

import pytest

from benchmarks.newcomer import ROOT, SERVES, Journey, shown, step_of, wait_for

LINES = shown((ROOT / "README.md").read_text("utf-8"))


def test_every_line_of_the_start_is_a_step() -> None:
    assert [step_of(line) for line in LINES] == [
        "ready",
        "first digit",
        "first pictures",
        "first samples",
        "first verdict",
    ]


def test_what_it_waits_for_is_what_make_run_says() -> None:
    assert "Starting; open the address" in (ROOT / "Makefile").read_text("utf-8")


def test_it_ends_where_the_installation_fails(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    said.write_text("ERROR: no space\nmake: *** [Makefile:25: .venv/.service] Error 1\n", "utf-8")
    with pytest.raises(SystemExit, match="no space"):
        wait_for(said, SERVES, Journey(), "served")
    said.write_text(f"INFO supervisor[1] {SERVES}://127.0.0.1:8000\n", "utf-8")
    wait_for(said, SERVES, Journey(), "served")
