"""The command for a machine with a card and ten minutes, rehearsed without one; what a step does to the others."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import device
from benchmarks.card import shares
from benchmarks.card.place import Place
from service.nets.registry import open_net
from service.settings import Settings
from service.store import Model, ModelStore

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_steps_without_a_service_can_be_rehearsed_without_a_card(tmp_path: Path) -> None:
    steps = "ceilings,parity,failing,forms,measuring"
    command = [sys.executable, "-m", "benchmarks.device", "--dry-run", "--budget", "900", "--out", str(tmp_path)]
    told = subprocess.run([*command, "--steps", steps], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr + "".join(log.read_text() for log in tmp_path.glob("*.log"))
    found = {
        name: [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in steps.split(",")
    }
    assert {row["agrees"] for row in found["parity"]} == {True}
    short, lost = found["failing"]
    assert short["answered_as_before"] is True
    assert lost["failures_told"] == 0
    assert {row["precision"] for row in found["forms"]} == {"float32", "tf32", "bfloat16"}
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("# A rehearsal without a card")
    assert {row["metric"] for row in found["measuring"]} == {"fid", "kid", "precision"}
    assert max(row["apart"] for row in found["measuring"]) < 1e-6
    assert table.count(": done in ") == 5


def test_a_step_has_its_limit_and_leaves_the_rest_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {}

    def run_step(name: str, _out: Path, limit_s: float, *, rehearsal: bool) -> str:
        limits[name] = limit_s
        assert rehearsal
        return "done in no time" if name != "parity" else "ended with 1"

    monkeypatch.setattr(device, "run_step", run_step)
    assert device.run_all(list(device.STEPS), tmp_path, 600.0, rehearsal=True) == 1
    assert limits["ceilings"] == pytest.approx(24.0, abs=1.0)
    assert limits["trainings"] == pytest.approx(600.0, abs=1.0)
    assert "ended with 1" in (tmp_path / "table.md").read_text()


def test_without_time_a_step_is_left_out_and_its_old_results_with_it(tmp_path: Path) -> None:
    (tmp_path / "forms.jsonl").write_text("{}\n")
    assert device.run_step("forms", tmp_path, 1.0, rehearsal=True) == "left out: no time was left"
    assert not (tmp_path / "forms.jsonl").exists()


def test_a_model_is_measured_in_a_store_of_its_own_with_drawn_weights_where_there_are_none(tmp_path: Path) -> None:
    model = ModelStore.of(Settings()).get("lenet5-mnist")
    assert shares.stocked(model, tmp_path / "own").version == model.version
    bare = tmp_path / "bare" / model.id
    shutil.copytree(model.folder, bare, ignore=shutil.ignore_patterns("*.safetensors", "card.json"))
    drawn = shares.stocked(Model(bare), tmp_path / "drawn")
    open_net(drawn.manifest.net, drawn.manifest.options, drawn.weights)


def test_results_are_a_table_with_a_column_for_each_word(tmp_path: Path) -> None:
    place = Place("ceilings", tmp_path, 10.0, rehearsal=True)
    place.write(what="a | b", rate=12345)
    place.write(what="c", errors={"x": 2}, noted=["d", "e"])
    assert device.table(tmp_path, {"ceilings": "done"}, rehearsal=False).splitlines()[-4:] == [
        "| what | rate | errors | noted |",
        "|---|---|---|---|",
        "| a / b | 12,345 |  |  |",
        "| c |  | x 2 | d; e |",
    ]
    assert place.left_s < 10.0
