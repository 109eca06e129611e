"""docs/ink.md is what the measurements beside it say, and those are of the weights that are there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.ink.__main__ import DOCUMENT, MEASUREMENTS
from experiments.ink.document import render
from experiments.ink.forms import AS_STORED, FORMS
from experiments.ink.measuring import COUNT, FIRST, classifiers, measure, unchanged
from experiments.ink.record import Measurement, read_record
from service.datasets.split import Split
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

STORE = ModelStore(Settings().shipped_models_dir)
MODELS = classifiers(map(STORE.get, STORE.ids()))
RECORD = read_record(MEASUREMENTS)
WANTED = 0.97


def test_the_page_is_what_its_measurements_say() -> None:
    assert DOCUMENT.read_text("utf-8") == render(RECORD), "`python -m experiments.ink --render` puts it right"


def test_every_classifier_of_digits_was_measured_with_its_weights_on_every_form() -> None:
    assert len(RECORD.measurements) == len(MODELS)
    for found, model in zip(RECORD.measurements, MODELS, strict=True):
        assert found.is_of(model), f"{model.id}: `python -m experiments.ink` measures it"
        assert list(found.forms) == list(FORMS)
    assert RECORD.count == COUNT


@pytest.mark.parametrize("found", RECORD.measurements, ids=lambda found: found.model)
def test_a_digit_is_read_in_every_form_as_well_as_in_that_of_the_test_set(found: Measurement) -> None:
    wanted = min(WANTED, found.forms[AS_STORED].accuracy - 0.01)
    assert {name: form.accuracy for name, form in found.forms.items() if form.accuracy < wanted} == {}


def test_no_image_of_mnist_is_touched() -> None:
    assert RECORD.unchanged == {"test images": (10_000, 10_000), "training images": (60_000, 60_000)}


async def test_what_is_measured_is_what_classify_says() -> None:
    seven = np.asarray(Image.open(Path(__file__).parents[1] / "data" / "seven.png"))
    images = np.repeat(seven[None, :, :, None], FIRST + 2, axis=0)
    [model] = [model for model in MODELS if model.id == "lenet5-mnist"]
    async with LocalEngine(STORE, threads=1) as engine:
        found = await measure(model, engine, Split(images, np.array([7, 1] * (FIRST // 2 + 1))))
    assert {form.accuracy for form in found.forms.values()} == {0.5}
    assert found.forms["dark ink on white paper"].as_is == 0.0
    assert found.forms["dark ink on white paper"].notes == ("The image was dark on light and was inverted.",)
    assert (unchanged(images[:3]), unchanged(255 - images[:3])) == (3, 0)
