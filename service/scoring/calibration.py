"""What a classifier's card says of its probabilities: the temperature, what it changes, and what is strange to it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.calibration import METHODS, Calibration, Change, Method, Strangeness
from service.datasets.registry import find_dataset
from service.datasets.split import Split
from service.imaging import Pixels, conform
from service.metrics.reliability import (
    Reliability,
    auroc,
    class_gaussians,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from service.metrics.samples import Real
from service.runtime.calls import EngineClient
from service.scoring.classes import Logits, logits_of
from service.settings import Settings
from service.store import ImageInput, Model
from service.tasks.sureness import softmax, strangeness_of

SHOWN = 2000
"""Images of each strange kind, and of the test set beside them."""
SHARE = 0.05
"""Of the test images, how many may be called strange."""
SEED = 0
"""Of the noise and of the choice of what is blended."""
OTHERS: dict[str, tuple[str, ...]] = {
    "mnist": ("fashion-mnist",),
    "fashion-mnist": ("mnist",),
    "cifar-10": ("mnist", "fashion-mnist"),
}
"""Datasets whose test images are shown to the classifiers of another, brought to their size."""


class Fitted(NamedTuple):
    """A temperature and how it was found, in words."""

    temperature: float
    how: str


async def fit_on_twin(twin: Model, engine: EngineClient, unseen: Split) -> Fitted:
    """The temperature under which the labels of images are likeliest that the twin has not seen."""
    logits = await logits_of(engine, twin, unseen.images)
    assert twin.card is not None, "a twin that was trained has a card"
    how = (
        f"least negative log-likelihood of the last {len(unseen):,} training images, which a twin (the same recipe,"
        f" seed {twin.card.seed}, weights {twin.version}) has not seen; this net's weights saw all of them"
    )
    return Fitted(round(fit_temperature(logits, unseen.labels), 4), how)


async def calibrate(
    model: Model, fitted: Fitted, engine: EngineClient, *, seen: Split, test: Split, settings: Settings
) -> Calibration:
    """All that a card says of a classifier's probabilities.

    The classes' places among the logits are those of training images it has `seen`; every other number is measured on
    `test` images and on what is strange. Raises DatasetMissing.
    """
    logits = await logits_of(engine, model, test.images)
    strange = {kind: await logits_of(engine, model, images) for kind, images in strange_images(model, test, settings)}
    own = await logits_of(engine, model, seen.images)
    ece, nll = changes(logits, test, fitted.temperature)
    return Calibration(
        temperature=fitted.temperature,
        how=fitted.how,
        ece=ece,
        nll=nll,
        strangeness=choose_strangeness(own, seen.labels, logits, strange, fitted.temperature),
    )


def changes(logits: Logits, test: Split, temperature: float) -> tuple[Change, Change]:
    """What a temperature does to the calibration error of test images, and to the likelihood of their labels."""

    def both(t: float) -> tuple[float, float]:
        likelihood = negative_log_likelihood(logits, test.labels, t)
        return _digits(reliability_at(t, logits, test).ece), _digits(likelihood)

    before, after = both(1.0), both(temperature)
    ece, nll = (Change(before=one, after=other) for one, other in zip(before, after, strict=True))
    return ece, nll


def reliability_at(temperature: float, logits: Logits, test: Split) -> Reliability:
    """The reliability diagram of test images at a temperature."""
    return reliability(softmax(logits, temperature), test.labels)


def choose_strangeness(
    seen: Logits, labels: NDArray[np.integer], test: Logits, strange: dict[str, Logits], temperature: float
) -> Strangeness:
    """The method that tells strange images best, with the limit that a few test images exceed."""
    means, precision = (_rounded(table) for table in class_gaussians(seen, labels, seen.shape[1]))
    candidates = {
        method: Strangeness(
            method=method,
            limit=0.0,
            share=SHARE,
            auroc={},
            **({"means": means, "precision": precision} if method == "distance" else {}),
        )
        for method in METHODS
    }
    usual = {method: strangeness_of(test, one, temperature) for method, one in candidates.items()}
    areas: dict[Method, dict[str, float]] = {
        method: {
            kind: round(auroc(usual[method], strangeness_of(logits, one, temperature)), 4)
            for kind, logits in strange.items()
        }
        for method, one in candidates.items()
    }
    best = max(METHODS, key=lambda method: sum(areas[method].values()))
    limit = _digits(float(np.quantile(usual[best], 1 - SHARE)))
    return candidates[best].model_copy(update={"limit": limit, "auroc": areas})


def strange_images(model: Model, test: Split, settings: Settings) -> Iterator[tuple[str, Pixels]]:
    """By its name each kind of images (n, H, W, C) that shows none of the model's labels, or two at once."""
    draw = np.random.default_rng(SEED)
    spec = model.input
    shape = (*spec.size, spec.channels)
    yield "uniform noise", draw.integers(0, 256, (SHOWN, *shape), np.uint8)
    yield "blanks", np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, *shape)).copy()
    yield "blends of two", _blends(test, draw)
    for name in OTHERS.get(model.manifest.dataset, ()):
        images = find_dataset(name).load(settings.data, "test").first(SHOWN).images
        yield name, np.stack([_brought(image, spec) for image in images])


def _blends(test: Split, draw: np.random.Generator) -> Pixels:
    """Means of two test images of different classes."""
    first, second = draw.integers(0, len(test), (2, 2 * SHOWN))
    apart = np.flatnonzero(test.labels[first] != test.labels[second])[:SHOWN]
    sums = test.images[first[apart]].astype(np.uint16) + test.images[second[apart]]
    blends: Pixels = (sums // 2).astype(np.uint8)
    return blends


def _brought(image: Pixels, spec: ImageInput) -> Pixels:
    return conform(image, size=spec.size, channels=spec.channels, shorter=spec.resize, resampling=spec.filter)


def _digits(value: float) -> float:
    """Six digits, which is more than the number of images knows."""
    return float(f"{value:.6g}")


def _rounded(table: Real) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(_digits(value) for value in row) for row in table.tolist())
