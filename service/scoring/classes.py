"""What generators draw, named by calibrated classifiers other than the one whose features are compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.imaging import Pixels
from service.runtime.calls import Call, EngineClient, Lane
from service.store import Model, ModelStore
from service.tasks.sureness import Real, mean_probabilities

Logits = NDArray[np.float32]


async def logits_of(engine: EngineClient, model: Model, images: Pixels) -> Logits:
    """Logits (n, classes) of images of the model's own size (n, H, W, C), in the fixed blocks of bulk work."""
    [logits] = await engine.submit(Call(model.id, "classify", model.version), [images], lane=Lane.BULK)
    return logits


async def name_classes(engine: EngineClient, namers: Sequence[Model], images: Pixels) -> Real:
    """The mean of the classifiers' probabilities (n, classes), each at the temperature of its card."""
    return mean_probabilities([(await logits_of(engine, model, images), model.calibration) for model in namers])


def namers_of(model: Model, store: ModelStore) -> list[Model]:
    """The classifiers that name what a generator draws, by its manifest: in `named_by`, or else the extractor."""
    appraised = model.manifest.training["appraised"]
    return [store.get(name, task="classify") for name in appraised.get("named_by") or [appraised["extractor"]]]


def told(namers: Sequence[Model]) -> str:
    """The classifiers and their versions, for a card."""
    return " and ".join(f"{model.id} {model.version}" for model in namers)
