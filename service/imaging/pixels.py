"""Pixels in memory: their size and colour changed, tiled, and written as a PNG.

Pillow is loaded by what needs it: an image of the right size and colour waits for none of it.
"""

import io
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Filter = Literal["bicubic", "bilinear"]
WHOLE_PIXELS = 16_000_000
"""An image that would have more once its shorter side is right is never resized whole: it may be one row of pixels."""
REACH = 3
"""Pixels beside its own that a pixel is made of, times the scale, are fewer."""


def conform(
    image: Pixels,
    *,
    size: tuple[int, int],
    channels: int,
    shorter: int | None = None,
    resampling: Filter = "bilinear",
) -> Pixels:
    """Pixels (H, W, `channels`) of height and width `size`.

    With `shorter`, the image's shorter side is resized to that and the middle cut out; else the whole is squeezed.

    Colour becomes grey by ITU-R 601 luma, grey is repeated into colour; another size is resized by Pillow's
    antialiased filter of the name, which rounds to 8 bits. Pixels that already fit are returned as they are.
    """
    if image.shape[2] != channels:
        image = _recolour(image, channels)
    if image.shape[:2] == tuple(size):
        return image
    if shorter is None:
        return _resize(image, size, resampling)
    whole = _with_shorter_side(image, shorter)
    if math.prod(whole) > WHOLE_PIXELS:
        return _middle(_middle_resized(image, whole, size, resampling), size)
    return _middle(_resize(image, whole, resampling), size)


def _with_shorter_side(image: Pixels, shorter: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    return (shorter, shorter * width // height) if height <= width else (shorter * height // width, shorter)


def _middle_resized(image: Pixels, whole: tuple[int, int], size: tuple[int, int], resampling: Filter) -> Pixels:
    """The middle of what an image would be if it were resized to `whole`, and nothing else of it."""
    cut = tuple(min(wanted, there) for wanted, there in zip(size, whole, strict=True))
    edges = []
    for axis, (kept, there) in enumerate(zip(cut, whole, strict=True)):
        scale = image.shape[axis] / there
        start = round((there - kept) / 2) * scale
        end = min(start + kept * scale, image.shape[axis])
        beside = REACH * math.ceil(max(scale, 1))
        first = max(0, math.floor(start) - beside)  # Pillow knows places in single precision: they have to be small
        image = image.take(range(first, min(math.ceil(end) + beside, image.shape[axis])), axis)
        edges.append((start - first, end - first))
    (top, bottom), (left, right) = edges
    return _resize(image, (cut[0], cut[1]), resampling, box=(left, top, right, bottom))


def _middle(image: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of an image, of an odd gap by torchvision's rounding; black where it is smaller than `size`."""
    height, width = size
    missing = [max(0, wanted - there) for wanted, there in zip(size, image.shape, strict=False)]
    if any(missing):
        image = np.pad(image, [*((gap // 2, gap - gap // 2) for gap in missing), (0, 0)])
    top, left = (round((there - wanted) / 2) for there, wanted in zip(image.shape, size, strict=False))
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _resize(
    image: Pixels, size: tuple[int, int], resampling: Filter, *, box: tuple[float, float, float, float] | None = None
) -> Pixels:
    """Pixels of another size; with `box`, of what lies between its left, upper, right and lower edge."""
    from PIL import Image

    height, width = size
    channels = image.shape[2]
    flat = image[:, :, 0] if channels == 1 else image
    resized = np.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling[resampling.upper()], box))
    return resized.reshape(height, width, channels)


def _recolour(image: Pixels, channels: int) -> Pixels:
    if channels == 1:
        from PIL import Image

        return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]
    return np.repeat(image, channels, axis=2)


def reduced(image: NDArray[Any], white: float, side: int) -> Pixels:
    """Pixels (h, w, C) of an image (H, W) or (H, W, C) of 0 to `white`, no side of which is longer than `side`."""
    pixels = image if image.dtype == np.uint8 else (image * (255 / white)).clip(0, 255).round().astype(np.uint8)
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    longest = max(pixels.shape[:2])
    if longest <= side:
        return np.ascontiguousarray(pixels)
    height, width = (max(1, round(length * side / longest)) for length in pixels.shape[:2])
    return _resize(pixels, (height, width), "bilinear")


def encode_png(image: Pixels) -> bytes:
    """A PNG file of pixels (H, W, 1) or (H, W, 3)."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def tile(images: Pixels, *, gap: int = 2, columns: int | None = None) -> Pixels:
    """Images (N, H, W, C) as one grid on black, row by row, `gap` pixels apart; near-square unless told its columns.

    One image is no grid: it is returned as it is.
    """
    count, height, width, channels = images.shape
    if count == 1:
        alone: Pixels = images[0]
        return alone
    columns = columns or max(1, int(np.ceil(np.sqrt(count))))
    rows = -(-count // columns)
    grid = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8)
    for place, image in enumerate(images):
        top = gap + (place // columns) * (height + gap)
        left = gap + (place % columns) * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid
