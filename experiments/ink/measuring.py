"""From classifiers of digits to their accuracy on each form, the way that `/classify` takes."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from experiments.ink.forms import FORMS
from experiments.ink.record import Form, Measurement
from service.datasets.split import Split
from service.imaging import Picture, Pixels, as_light_ink
from service.operations.classify import Labelling
from service.runtime.calls import EngineClient
from service.store import Model

DATASET = "mnist"
FIRST, COUNT = 2000, 500
"""Which of the test images are sent."""
LIMIT_PIXELS = 1 << 20


def classifiers(models: Iterable[Model]) -> list[Model]:
    """Those that know MNIST's digits and say so in their manifests."""
    return [
        model
        for model in models
        if model.manifest.task == "classify" and model.manifest.dataset == DATASET and model.input.ink is not None
    ]


async def measure(model: Model, engine: EngineClient, test: Split) -> Measurement:
    """One classifier on every form of some test images."""
    digits, labels = test.images[FIRST : FIRST + COUNT, :, :, 0], test.labels[FIRST : FIRST + COUNT].tolist()
    forms = {}
    for name, make in FORMS.items():
        files = [make(digit) for digit in digits]
        accuracy, notes = await _ask(model, engine, files, labels, as_is=False)
        as_is, _ = await _ask(model, engine, files, labels, as_is=True)
        often = tuple(note for note, count in notes.items() if 2 * count > len(files))
        forms[name] = Form(accuracy=accuracy, as_is=as_is, notes=often)
    return Measurement(model=model.id, weights=model.version, forms=forms)


async def _ask(
    model: Model, engine: EngineClient, files: Sequence[bytes], labels: Sequence[int], *, as_is: bool
) -> tuple[float, Counter[str]]:
    """The accuracy, and how often each note about an image's form was made."""
    images = [(None, data) for data in files]
    labelling = Labelling.of(images, model, top_k=1, limit_pixels=LIMIT_PIXELS, as_is=as_is)
    answer = await labelling.ask(engine)
    right = [
        "error" not in found and found["labels"][0]["index"] == label
        for found, label in zip(answer["predictions"], labels, strict=True)
    ]
    made = (note for image in labelling.prepared for note in getattr(image, "notes", ()))
    return sum(right) / len(right), Counter(made)


def unchanged(images: Pixels) -> int:
    """How many of the images (n, 28, 28, 1) are taken as they are."""
    return sum(as_light_ink(Picture(image), len(image)) is None for image in np.asarray(images))
