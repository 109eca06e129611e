"""docs/calibration.md is what the cards and the measurements beside it say."""

import shutil
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest
from cli.conftest import write_mnist
from evaluation.packing import digits

from experiments.calibration.__main__ import DIAGRAMS, DOCUMENT, MEASUREMENTS
from experiments.calibration.diagrams import FEWEST, draw
from experiments.calibration.document import FITTED_ON, render
from experiments.calibration.measuring import CONFIDENT, TEST, classifiers, measure, measure_teams
from experiments.calibration.record import Diagram, Measurement, Record, Team, read_record, write_record
from experiments.collapse.digits import EXTRACTOR, NAMERS
from service.metrics.reliability import reliability
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore, write_card

STORE = ModelStore(Settings().shipped_models_dir)
MODELS = classifiers([STORE.get(model_id) for model_id in STORE.ids()])
DIAGRAM = Diagram(counts=(FEWEST - 1, 0, 60), confidence=(0.2, 0.0, 0.9), accuracy=(0.1, 0.0, 0.8))
FOUND = Measurement(
    model="lenet5-mnist",
    weights="0123",
    temperature=2.0,
    before=DIAGRAM,
    after=DIAGRAM,
    confident={TEST: (0.99, 0.95), "noise": (1.0, 0.25)},
    noted={TEST: 0.05, "noise": 0.9},
)


def test_the_page_is_what_its_measurements_and_the_cards_say() -> None:
    said = DOCUMENT.read_text("utf-8")
    assert render(MODELS, read_record(MEASUREMENTS), NAMERS) == said, (
        "`python -m experiments.calibration --render` puts it right"
    )


def test_every_calibrated_classifier_was_measured_and_has_its_diagram() -> None:
    record = read_record(MEASUREMENTS)
    for model in MODELS:
        found = record.find(model.id)
        assert (found is not None) == (model.calibration is not None), model.id
        if found is not None and model.calibration is not None:
            assert found.is_of(model, model.calibration), model.id
            assert (DIAGRAMS / f"{model.id}.svg").read_text("utf-8") == draw(found)


def test_those_that_name_digits_are_calibrated_and_none_of_them_is_the_extractor() -> None:
    assert EXTRACTOR not in NAMERS
    assert all(STORE.get(name).calibration is not None for name in NAMERS)


def test_every_classifier_that_is_shipped_is_calibrated_and_the_page_says_on_what() -> None:
    page = DOCUMENT.read_text("utf-8")
    for model in MODELS:
        assert model.calibration is not None, f"`chapterhouse calibrate {model.id}` calibrates it"
        row = next(line for line in page.splitlines() if line.startswith(f"| `{model.id}` | "))
        assert f" | {FITTED_ON[model.calibration.fitted_on]} | " in row
        assert model.calibration.strangeness.beyond is not None


def test_what_nobody_has_calibrated_is_not_measured(tmp_path: Path) -> None:
    known = STORE.get("mlp-mnist")
    assert known.card is not None
    (tmp_path / "new").mkdir()
    shutil.copy(known.folder / "model.toml", tmp_path / "new")
    write_card(known.card.model_copy(update={"calibration": None}), tmp_path / "new" / "card.json")
    page = render([Model(tmp_path / "new")], Record(), NAMERS)
    assert "not measured; `chapterhouse calibrate new`" in page


def test_what_was_measured_at_another_limit_or_of_other_images_is_measured_again(tmp_path: Path) -> None:
    model = STORE.get("mlp-mnist")
    known = model.calibration
    assert known is not None
    found = read_record(MEASUREMENTS).find(model.id)
    assert found is not None
    for update in ({"limit": None}, {"temperature": 2.0}, {"fitted_on": "test-halves"}, {"weights": "0123"}):
        assert not found.model_copy(update=update).is_of(model, known)
    write_record(tmp_path / "record.json", [FOUND], {}, [])
    assert read_record(tmp_path / "record.json").find("lenet5-mnist") == FOUND
    assert read_record(tmp_path / "nothing.json") == Record()


def test_the_team_that_names_stands_out() -> None:
    teams = tuple(
        Team(members=members, accuracy=0.99, confident={TEST: 0.9, "noise": 0.0}) for members in ((NAMERS[0],), NAMERS)
    )
    page = render(MODELS, Record(teams=teams), NAMERS)
    assert f"| **`{NAMERS[0]}` and `{NAMERS[1]}`** | 99.00 % | 90.0 % | 0.0 % |" in page
    assert f"| `{NAMERS[0]}` | 99.00 %" in page


def test_a_diagram_shows_bins_that_hold_enough_and_how_far_they_are_off() -> None:
    drawing = fromstring(draw(FOUND))
    bars = [element for element in drawing.iter() if element.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["right", "gap"] * 2
    tall, gap = (float(bar.get("height", "")) for bar in bars[:2])
    assert gap / tall == pytest.approx(0.1 / 0.8, abs=0.01)


def test_a_diagram_is_kept_in_few_digits() -> None:
    probabilities = np.array([[1 / 3, 2 / 3], [0.1, 0.9]])
    kept = Diagram.of(reliability(probabilities, np.array([1, 0]), bins=3))
    assert kept == Diagram(counts=(0, 1, 1), confidence=(0.0, 0.66667, 0.9), accuracy=(0.0, 1.0, 0.0))
    assert CONFIDENT == 0.9


async def test_what_is_measured_is_what_the_nets_say_alone_and_together(tmp_path: Path) -> None:
    for name in ("mnist", "fashion-mnist"):
        write_mnist(tmp_path / "data", digits(60, size=28)[..., 0], name)
    for name in ("lenet5-mnist", "mlp-mnist"):
        (tmp_path / name).symlink_to(STORE.get(name).folder)
    store = ModelStore(tmp_path)
    settings = Settings(data_dir=tmp_path / "data")
    models = [store.get("lenet5-mnist"), store.get("mlp-mnist")]
    async with LocalEngine(store, threads=1) as engine:
        alone = await measure(models[1], engine, settings)
        teams = await measure_teams(models, engine, settings)
    assert alone.noted.keys() == alone.confident.keys()
    assert sum(alone.before.counts) == sum(alone.after.counts) == 60
    assert [team.members for team in teams] == [("lenet5-mnist",), ("mlp-mnist",), ("lenet5-mnist", "mlp-mnist")]
    assert {kind: after for kind, (_, after) in alone.confident.items()} == teams[1].confident
    assert teams[2].confident["uniform noise"] <= teams[0].confident["uniform noise"]
