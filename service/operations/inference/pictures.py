"""Images as tensors: stored pixels of whole or real numbers, or encoded files; brought to rows of pixels."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.errors import UnreadableImage
from service.imaging import Pixels
from service.operations.encoded import MOST_IMAGES
from service.operations.inference.backing import Backing
from service.operations.inference.signatures import ANY, Slot
from service.operations.inference.tensors import BYTES, Array, Tensor, wrong
from service.store import Model

RANGES = {"0,1": (0.0, 1.0), "-1,1": (-1.0, 1.0), "0,255": (0.0, 255.0)}
"""What real numbers may mean, by the parameter `value_range` of their input."""
MEANINGS = " or ".join(map(repr, RANGES))
ROUNDING = 1e-3
"""So much beyond its range, in shares of it, a number is still taken for one at its end."""
AXES = 4
QUICK_BYTES = 1 << 17
"""More are converted beside the event loop."""


class Pictures(NamedTuple):
    """The images of a request as a model takes them, and what was done to each for that."""

    rows: Pixels
    notes: Sequence[tuple[str, ...]]


async def pictures_of(given: Tensor, slot: Slot, model: Model, backing: Backing, *, as_is: bool | None) -> Pictures:
    """The images of an input; `as_is` is None where nobody said. Raises InvalidRequest, UnreadableImage, Overloaded."""
    if not given.shape or not 1 <= given.shape[0] <= MOST_IMAGES:
        raise wrong(given.name, f"the shape {list(given.shape)} should begin with 1 to {MOST_IMAGES:,} images")
    if given.datatype == BYTES:
        return await _decoded(given, model, backing, as_is=bool(as_is))
    if as_is is False:
        raise wrong("as_is", "pixels are taken as they are; send image files, as BYTES, to have them looked at")
    nhwc = _with_channels_last(given, slot)
    if given.datatype == "FP32":
        convert = asyncio.to_thread(_whole, given, nhwc) if nhwc.nbytes > QUICK_BYTES else None
        nhwc = _whole(given, nhwc) if convert is None else await convert
    return Pictures(np.ascontiguousarray(nhwc), [()] * len(nhwc))


async def _decoded(given: Tensor, model: Model, backing: Backing, *, as_is: bool) -> Pictures:
    if given.array.size != given.shape[0]:
        raise wrong(
            given.name, f"one image file an item is read: the shape {list(given.shape)} should be [n] or [n, 1]"
        )
    read = await backing.readers.images(given.array.ravel().tolist(), model.input, as_is=as_is)
    found = []
    for place, image in enumerate(read):
        if isinstance(image, UnreadableImage):
            raise wrong(f"{given.name}[{place}]", image.detail)
        found.append(image)
    return Pictures(np.concatenate([image.pixels for image in found]), [image.notes for image in found])


def _with_channels_last(given: Tensor, slot: Slot) -> Array:
    """Pixels (n, H, W, C) of these, or of (n, C, H, W). Raises InvalidRequest."""
    if len(given.shape) == AXES:
        if _fits(given.shape, slot.shape):
            return given.array
        n, height, width, channels = slot.shape
        if ANY not in slot.shape[1:] and _fits(given.shape, (n, channels, height, width)):
            return np.moveaxis(given.array, 1, 3)
    raise wrong(
        given.name,
        f"the shape {list(given.shape)} should be {list(slot.shape)}"
        + ("; image files of any size are taken as BYTES" if BYTES in slot.also else ""),
    )


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(size > 0 and target in (ANY, size) for size, target in zip(shape, wanted, strict=True))


def _whole(given: Tensor, values: Array) -> Pixels:
    """Real numbers as pixels of 0 to 255, rounded, halves to even. Raises InvalidRequest."""
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2, 3)))
        raise wrong(f"{given.name}[{bad[0]}]", "a pixel is NaN or infinite")
    low, high = _range_of(given, values)
    room = ROUNDING * (high - low)
    least, largest = float(values.min()), float(values.max())
    if least < low - room or largest > high + room:
        raise wrong(
            given.name,
            f"its pixels go from {least:.4g} to {largest:.4g}, beyond {low:g} to {high:g}; the parameter value_range "
            f"of the input says what they mean: {MEANINGS}",
        )
    levels = np.rint((values.astype(np.float64) - low) * (255.0 / (high - low)))
    return levels.clip(0, 255).astype(np.uint8)


def _range_of(given: Tensor, values: Array) -> tuple[float, float]:
    """What the numbers mean: as they say, or else stored pixels of 0 to 255, if they can be that."""
    told = given.parameters.get("value_range")
    if told is None:
        if 0 < values.max() <= 1:
            raise wrong(
                given.name,
                "no pixel is above 1, so that 0 to 255 may not be what they mean; the parameter value_range of the "
                f"input says it: {MEANINGS}",
            )
        return RANGES["0,255"]
    plain = str(told).replace(" ", "")
    if plain not in RANGES:
        raise wrong("value_range", f"must be {MEANINGS}")
    return RANGES[plain]
