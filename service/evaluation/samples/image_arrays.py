"""An uploaded array as images: which axis is what, and what its numbers mean, where only one answer is possible.

Whatever is done to the numbers is said. What could be meant in two ways is refused, with the way to say it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.batches import may_be_one_image
from service.errors import UnreadableArchive
from service.evaluation.samples.decoding import in_order
from service.evaluation.samples.reading import Reading, Samples, samples_of
from service.evaluation.samples.spool import Fitted, fit
from service.evaluation.threads import Stop
from service.imaging import Picture, Pixels

COLOURS = (1, 3)
"""Channels of images that are read: grey and RGB."""
WAY_OUT = "uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3) is always read"
ROWS_AT_ONCE = 256
ROUNDING = 1e-3
"""So much beyond its range a float is still taken for one at its end."""


class _Scale(NamedTuple):
    """How numbers become pixels, 255 · (x − black) / (white − black), and how that is put."""

    black: float
    white: float
    words: str


def image_samples(images: NDArray[Any], name: str, reading: Reading) -> Samples:
    """The samples of an array of images. Raises UnreadableArchive where it is none, or could be meant in two ways."""
    kind = f"The array {name!r}, {images.dtype} {images.shape},"
    images, axes = _channels_last(images, kind)
    _, height, width, _ = images.shape
    most = reading.budget.limits.image_pixels
    if height * width > most:
        raise UnreadableArchive(f"The images are {height}×{width}; at most {most:,} pixels are read.")
    scale = _scale_of(images, kind, reading.budget.stop)
    alterations = (scale.words,) if scale is not None else ()

    def read(pixels: NDArray[Any]) -> Fitted:
        eight = _scaled(pixels, scale) if scale is not None else np.ascontiguousarray(pixels)
        return fit(Picture(eight, alterations), reading.shape)

    stop = reading.budget.stop
    fitted = in_order(_rows(images, stop), read, size_of=lambda pixels: pixels.nbytes)
    return samples_of(fitted, reading, f"{kind[4:-1]}: {{count:,}} images of {{shape}}{axes}")


def _channels_last(images: NDArray[Any], kind: str) -> tuple[NDArray[Any], str]:
    """The array as (N, H, W, C), and what had to be understood for that."""
    if images.dtype.kind not in "uif":
        raise UnreadableArchive(f"{kind} holds no numbers that could be pixels; {WAY_OUT}.")
    if images.ndim == 4 and images.shape[3] in COLOURS:
        return images, ""
    if images.ndim == 4 and images.shape[1] in COLOURS:
        return images.transpose(0, 2, 3, 1), ", channels first"
    if images.ndim == 3 and not may_be_one_image(images.shape):
        return images[..., None], ", grey"
    if images.ndim == 3:
        raise UnreadableArchive(
            f"{kind} may be one image or {images.shape[0]:,} grey ones. Send one image as (1, H, W, 1) or (1, H, W, 3),"
            " and grey ones as (N, H, W, 1)."
        )
    features = " Features are named: np.savez(file, features=…)." if images.ndim == 2 else ""
    raise UnreadableArchive(f"{kind} is no set of images in grey or RGB; {WAY_OUT}.{features}")


def _scale_of(images: NDArray[Any], kind: str, stop: Stop) -> _Scale | None:
    """What the numbers mean; None for pixels from 0 to 255 in whole numbers of a byte."""
    if images.dtype == np.uint8:
        return None
    low, high = _extremes(images, kind, stop)
    known = [
        _Scale(0.0, 1.0, "held numbers from 0 to 1, which were scaled to 0 to 255 and rounded"),
        _Scale(-1.0, 1.0, "held numbers from −1 to 1, which were scaled to 0 to 255 and rounded"),
        _Scale(0.0, 255.0, f"held numbers from 0 to 255 as {images.dtype}, which were rounded to a byte"),
    ]
    if images.dtype.kind in "ui":
        known = known[2:]
    for scale in known:
        if low >= scale.black - ROUNDING and high <= scale.white + ROUNDING:
            return scale
    raise UnreadableArchive(
        f"{kind} holds numbers from {low:.6g} to {high:.6g}; what is black and what is white is not known. Send uint8"
        " from 0 to 255, or floats from 0 to 1 or from −1 to 1."
    )


def _extremes(images: NDArray[Any], kind: str, stop: Stop) -> tuple[float, float]:
    lows, highs = [], []
    for start in range(0, len(images), ROWS_AT_ONCE):
        stop.check()
        block = images[start : start + ROWS_AT_ONCE]
        lows.append(float(block.min()))
        highs.append(float(block.max()))
        if not np.isfinite([lows[-1], highs[-1]]).all():
            finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            raise UnreadableArchive(f"{kind} is not finite in row {start + int(finite.argmin())}.")
    return min(lows), max(highs)


def _scaled(pixels: NDArray[Any], scale: _Scale) -> Pixels:
    """Rounded half to even, as NumPy and torch do."""
    eight = (pixels.astype(np.float64) - scale.black) * (255.0 / (scale.white - scale.black))
    found: Pixels = eight.round().clip(0, 255).astype(np.uint8)
    return found


def _rows(images: NDArray[Any], stop: Stop) -> Iterator[NDArray[Any]]:
    for row in images:
        stop.check()
        yield row
