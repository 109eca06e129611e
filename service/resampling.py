"""How an image of another size becomes that of an extractor, by the names that manifests use.

Weighted sums of rows, then of columns, in floating point; nothing is rounded to whole pixels. `imaging.conform` rounds:
it is the way of every model that names none of these, Pillow's antialiased filters on 8 bits.

| name | where a pixel lies | filter | whose |
|---|---|---|---|
| bilinear-tf1 | at its corner | triangle over two pixels | TensorFlow 1 and torch-fidelity |
| bilinear | at its centre | triangle over two pixels | pytorch-fid and torch's `interpolate` |
| bilinear-antialias | at its centre | triangle as wide as the step | Pillow, unrounded |
| bilinear-antialias-torch | at its centre, in single precision | the same | torchmetrics with `antialias` |
| bicubic-antialias | at its centre | Keys's cubic as wide as the step, cut to 0…255 | clean-fid |
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[Any]


def _triangle(x: Reals) -> Reals:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: Reals) -> Reals:
    """Keys's cubic with a = −½."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@dataclass(frozen=True, slots=True)
class Resampling:
    """A filter and where it is laid; `single` computes places as tools do that round them to single precision.

    At noise of full contrast a place that is off by 1e-5 pixels is off by 3e-3 in value.
    """

    filter: Callable[[Reals], Reals] = _triangle
    antialias: bool = False
    at_corners: bool = False
    single: bool = False
    overshoots: bool = False


RESAMPLINGS: dict[str, Resampling] = {
    "bicubic-antialias": Resampling(_cubic, antialias=True, overshoots=True),
    "bilinear": Resampling(single=True),
    "bilinear-antialias": Resampling(antialias=True),
    "bilinear-antialias-torch": Resampling(antialias=True, single=True),
    "bilinear-tf1": Resampling(at_corners=True, single=True),
}

RESIZING: dict[str, str] = {
    "as-sent": "images keep their size",
    "bicubic-antialias": "bicubic, antialiased, centres of pixels, cut to 0…255, not rounded",
    "bilinear": "bilinear, not antialiased, centres of pixels (align_corners false), not rounded",
    "bilinear-antialias": "bilinear, antialiased, centres of pixels, not rounded",
    "bilinear-antialias-torch": "bilinear, antialiased, centres of pixels in single precision, not rounded",
    "bilinear-tf1": "bilinear, not antialiased, corners of pixels (align_corners false in TensorFlow 1), not rounded",
    "pillow-bicubic": "Pillow's bicubic, antialiased, centres of pixels, rounded to 8 bits",
    "pillow-bilinear": "Pillow's bilinear, antialiased, centres of pixels, rounded to 8 bits",
}
"""What each way of resizing does with that which moves a score, as reports say it."""


@lru_cache(maxsize=256)
def weights(name: str, source: int, target: int) -> NDArray[np.float32]:
    """What each of `target` pixels takes of each of `source`: (target, source), rows that sum to 1."""
    how = RESAMPLINGS[name]
    kind = np.dtype(np.float32 if how.single else np.float64).type
    step, offset = kind(source / target), kind(0.0 if how.at_corners else 0.5)
    places = step * (np.arange(target, dtype=kind) + offset) - offset
    width = max(step, kind(1.0)) if how.antialias else kind(1.0)
    found = how.filter((np.arange(source, dtype=kind) - places[:, None]) / width).astype(np.float64)
    shares: NDArray[np.float32] = (found / found.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def resample(image: NDArray[np.uint8], name: str, size: tuple[int, int]) -> NDArray[np.float32]:
    """Pixels (H, W, C) as floats of 0 to 255 in a height and width of `size`, the same bits on every machine."""
    rows = _summed(image.astype(np.float32), weights(name, image.shape[0], size[0]))  # (height, W, C)
    columns = _summed(rows.swapaxes(0, 1), weights(name, image.shape[1], size[1]))  # (width, height, C)
    resized = np.ascontiguousarray(columns.swapaxes(0, 1))
    return resized.clip(0.0, 255.0) if RESAMPLINGS[name].overshoots else resized


def _summed(x: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product of both along axis 0, tap by tap.

    All but a band of the shares is 0; and in what order a matrix product adds depends on the machine.
    """
    first = (shares != 0).argmax(axis=1)
    taps = int((shares.shape[1] - (shares != 0)[:, ::-1].argmax(axis=1) - first).max())
    first = first.clip(max=shares.shape[1] - taps)
    total = np.zeros((len(shares), *x.shape[1:]), np.float32)
    for tap in range(taps):
        share = np.take_along_axis(shares, (first + tap)[:, None], axis=1)
        total += share[:, :, None] * x[first + tap]
    return total
