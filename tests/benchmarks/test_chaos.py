"""The programs that disturb, attack, flood and wear out a whole service, in short."""

import subprocess
import sys
from pathlib import Path

import pytest
from serving import add_untrained

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_untrained(tmp_path)
    defaults = {"CLASSIFIER": "lenet5-none", "GENERATOR": "dcgan-none", "FORECASTER": "murmur"}
    given = {f"DEFAULT_{name}": model for name, model in defaults.items()}
    given |= {"FRONTS": "1", "THREADS": "1", "MODELS_DIR": str(tmp_path), "DEVICES": "cpu"}
    for name, value in given.items():
        monkeypatch.setenv(f"CHAPTERHOUSE_{name}", value)


def told_by(program: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{program}", *options]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("untrained")
def test_a_short_chaos_leaves_nobody_without_a_right_answer() -> None:
    told = told_by("chaos", "--seconds", "14", "--gentle", "--seed", "2")
    assert "every request was answered, rightly, and nothing is left" in told
