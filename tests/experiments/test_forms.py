"""docs/forms.md is what the cards and the measurements beside it say."""

from pathlib import Path

from experiments.forms.__main__ import DOCUMENT, MEASUREMENTS
from experiments.forms.document import classifiers, render
from experiments.forms.record import Record, Timings, read_record, write_record
from service.exactness import PLAIN
from service.settings import Settings
from service.store import ModelStore

MODELS = classifiers(ModelStore(Settings().shipped_models_dir))
FOUND = Timings(
    model="lenet5-mnist",
    version="1",
    machine="a processor",
    threads=1,
    packages={"torch": "2"},
    seconds={"plain": {1: 0.01, 64: 0.1}, "folded": {1: 0.005, 64: 0.05}},
)


def test_the_page_is_what_its_measurements_and_the_cards_say() -> None:
    assert render(MODELS, read_record(MEASUREMENTS)) == DOCUMENT.read_text("utf-8"), (
        "`python -m experiments.forms --render` puts it right"
    )


def test_every_form_on_a_card_of_these_weights_has_been_timed() -> None:
    record = read_record(MEASUREMENTS)
    for model in MODELS:
        found = record.find(model.id)
        assert found is not None, f"`python -m experiments.forms {model.id}` times it"
        assert found.version == model.version
        assert model.card is not None
        assert found.seconds.keys() == model.card.forms.keys() >= {PLAIN}


def test_a_row_tells_speed_gain_and_what_is_chosen() -> None:
    page = render(MODELS, Record(timings=(FOUND,)))
    assert "On a processor, 1 thread; torch 2." in page
    assert "| `lenet5-mnist` | plain | 100 | 640 | 1.00 |" in page
    assert "| `lenet5-mnist` | **folded** | 200 | 1,280 | 2.00 |" in page


def test_a_model_that_is_measured_again_replaces_what_was_known(tmp_path: Path) -> None:
    record = Record(timings=(FOUND,)).with_timings(FOUND.model_copy(update={"version": "2"}))
    write_record(tmp_path / "forms.json", record)
    [found] = read_record(tmp_path / "forms.json").timings
    assert found.version == "2"
    assert read_record(tmp_path / "none.json") == Record()
