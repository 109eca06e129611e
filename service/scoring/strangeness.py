"""What is strange to a classifier: images that show none of its labels, and how well each method tells them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.calibration import METHODS, Method, Strangeness
from service.datasets.registry import find_dataset
from service.datasets.split import Split
from service.imaging import Pixels, conform
from service.metrics.reliability import auroc, class_gaussians
from service.metrics.samples import Real
from service.scoring.classes import Logits
from service.scoring.halves import halves
from service.settings import Settings
from service.store import ImageInput, Model
from service.tasks.sureness import strangeness_of

SHOWN = 2000
"""Images of each strange kind."""
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


def learn_strangeness(
    test: Logits, labels: NDArray[np.integer], strange: dict[str, Logits], temperature: float
) -> Strangeness:
    """The method that tells strange images best, with the limit that a few test images exceed.

    Class means, covariance, method and limit come from one half of the images of each kind; how well they tell is
    measured on the other. A classifier's training images are asked for nothing: it is surer of them than of others.
    """
    learned, measured = halves(len(test))
    means, precision = (_rounded(table) for table in class_gaussians(test[learned], labels[learned], test.shape[1]))
    candidates = {
        method: Strangeness(
            method=method,
            limit=0.0,
            share=SHARE,
            auroc={},
            how=f"class means, method and limit from {len(learned):,} of the test images and half of the strange ones,"
            f" AUROCs and what is beyond the limit on the {len(measured):,} and the half that are left",
            **({"means": means, "precision": precision} if method == "distance" else {}),
        )
        for method in METHODS
    }

    def areas(method: Method, which: int) -> dict[str, float]:
        """The AUROC of each kind on one of the halves."""
        usual, *shown = (
            strangeness_of(logits[halves(len(logits))[which]], candidates[method], temperature)
            for logits in (test, *strange.values())
        )
        return {kind: round(auroc(usual, found), 4) for kind, found in zip(strange, shown, strict=True)}

    best = max(METHODS, key=lambda method: sum(areas(method, 0).values()))
    usual = strangeness_of(test, candidates[best], temperature)
    limit = float(f"{np.quantile(usual[learned], 1 - SHARE):.6g}")
    return candidates[best].model_copy(
        update={
            "limit": limit,
            "beyond": round(float((usual[measured] > limit).mean()), 4),
            "auroc": {method: areas(method, 1) for method in METHODS},
        }
    )


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


def _rounded(table: Real) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in table.tolist())
