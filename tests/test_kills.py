"""The program that kills processes during evaluations, for a few rounds."""

import subprocess
import sys
from pathlib import Path

import pytest
from serving import add_untrained

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "kills.py"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_accepted_evaluation_outlives_the_processes_that_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_untrained(tmp_path)
    defaults = {"CLASSIFIER": "lenet5-none", "GENERATOR": "dcgan-none", "FORECASTER": "murmur"}
    given = {f"DEFAULT_{name}": model for name, model in defaults.items()}
    for name, value in {**given, "FRONTS": "1", "THREADS": "1", "MODELS_DIR": str(tmp_path), "DEVICES": "cpu"}.items():
        monkeypatch.setenv(f"CHAPTERHOUSE_{name}", value)
    told = subprocess.run(
        [sys.executable, str(PROGRAM), "--rounds", "4", "--samples", "1500", "--seed", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "every accepted evaluation finished, with the same numbers" in told.stdout
