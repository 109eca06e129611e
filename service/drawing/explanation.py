"""Explanations as pictures for people: the image on the left, what the method answered on the right."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.imaging import Pixels, tile

Array = NDArray[Any]

WHOLE = 224
"""Pixels along the side of an image that is shown by itself, at least."""
CELL = 72
"""Pixels along the side of one picture among many, at least."""
MOST = 400
"""Pictures of maps or kernels, at most."""
CLOSE = 2 / 3
"""Projections that reach over less of the image's side than this are shown from close by."""
GAP = 8


def draw_explanation(method: str, arrays: Sequence[Array], image: Pixels) -> Pixels:
    """The image (H, W, C) and what `method` answered about it, the items' axis taken off, as one picture."""
    return beside(enlarge(image, WHOLE), DRAWINGS[method](arrays, image))


def _draw_projections(arrays: Sequence[Array], image: Pixels) -> Pixels:
    """Each projection; where all are small only its part of the image, that beside it, as in the paper's figure 2."""
    projections = np.moveaxis(arrays[0], 1, -1)  # (U, H, W, C)
    side = max(map(_reach, projections))
    if side > CLOSE * min(image.shape[:2]):
        return tile(np.stack([enlarge(signed(one), _cell(len(projections))) for one in projections]))
    pairs = []
    for one in projections:
        rows, columns = _window(one, side)
        patch = np.concatenate([image[rows, columns], signed(one[rows, columns])], axis=1)
        pairs.append(enlarge(patch, 2 * CELL))
    return tile(np.stack(pairs))


def _reach(projection: Array) -> int:
    """The side of the smallest square around all of a projection (H, W, C) that is not 0; at least one pixel."""
    touched = (projection != 0).any(axis=2)
    sides = [np.flatnonzero(touched.any(axis=axis)) for axis in (0, 1)]
    return max([1, *(int(side[-1] - side[0]) + 1 for side in sides if len(side))])


def _window(projection: Array, side: int) -> tuple[slice, slice]:
    """Rows and columns of a square of this side, within the image, around what is not 0."""
    touched = (projection != 0).any(axis=2)
    starts = []
    for axis, length in enumerate(touched.shape):
        found = np.flatnonzero(touched.any(axis=1 - axis))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, length - 1)
        starts.append(min(max(0, first - (side - (last - first + 1)) // 2), length - side))
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _cell(count: int, *, least: int = CELL) -> int:
    """The least side of one of so many pictures in a square, which is to be as large as the image beside it."""
    return max(least, WHOLE // math.ceil(math.sqrt(count)))


def _draw_probabilities(arrays: Sequence[Array], image: Pixels) -> Pixels:
    """Each probability in the middle of its place, so that the heat lies over what was occluded."""
    heat, side = arrays[0], int(arrays[3])
    for axis, (length, shown) in enumerate(zip(image.shape[:2], enlarge(image, WHOLE).shape[:2], strict=True)):
        pixels = (np.arange(shown) + 0.5) * length / shown
        middles = np.linspace(side / 2, length - side / 2, heat.shape[axis])
        heat = np.apply_along_axis(lambda line, x, y: np.interp(x, y, line), axis, heat, pixels, middles)
    return glow((255 * heat).round().astype(np.uint8))


def _draw_slopes(arrays: Sequence[Array], _: Pixels) -> Pixels:
    slopes = arrays[0]
    # A few pixels would leave the others dark.
    top = float(np.quantile(slopes, 0.995)) or 1.0
    return enlarge((255 * np.clip(slopes / top, 0, 1)).round().astype(np.uint8)[:, :, None], WHOLE)


def _draw_maps(arrays: Sequence[Array], _: Pixels) -> Pixels:
    maps = arrays[0][:MOST]
    # Maps of one pixel can only be told from each other.
    shades = stretched(maps) if maps[0].size == 1 else np.stack([stretched(one) for one in maps])
    return tile(np.stack([enlarge(one[:, :, None], _cell(len(maps))) for one in shades]))


def _draw_kernels(arrays: Sequence[Array], _: Pixels) -> Pixels:
    kernels = arrays[0]  # (K, C, kh, kw)
    if kernels.shape[1] not in (1, 3):
        kernels = kernels.reshape(-1, 1, *kernels.shape[2:])
    side = _cell(len(kernels[:MOST]), least=CELL // 3)
    return tile(np.stack([enlarge(signed(np.moveaxis(one, 0, -1)), side) for one in kernels[:MOST]]))


DRAWINGS: dict[str, Callable[[Sequence[Array], Pixels], Pixels]] = {
    "activations": _draw_maps,
    "deconvnet": _draw_projections,
    "filters": _draw_kernels,
    "guided": _draw_projections,
    "occlusion": _draw_probabilities,
    "saliency": _draw_slopes,
}


def signed(values: Array) -> Pixels:
    """Array as pixels: 0 is grey, the largest magnitude black or white."""
    top = float(np.abs(values).max()) or 1.0
    return (127.5 + 127.5 * values / top).round().astype(np.uint8)


def stretched(values: Array) -> Pixels:
    """Array as pixels: the least black, the largest white."""
    low, high = float(values.min()), float(values.max())
    return (255 * (values - low) / ((high - low) or 1.0)).round().astype(np.uint8)


def glow(shades: Pixels) -> Pixels:
    """Grey (H, W) as the colours of glowing iron (H, W, 3): black, red, yellow, white."""
    heat = 3.0 * shades[:, :, None].astype(np.float64) / 255 - np.arange(3)
    return (255 * heat.clip(0, 1)).round().astype(np.uint8)


def enlarge(image: Pixels, least: int) -> Pixels:
    """The image (H, W, C) with each pixel a square, so that its side is `least` or a little more."""
    times = max(1, -(-least // max(image.shape[:2])))
    return image.repeat(times, axis=0).repeat(times, axis=1)


def beside(left: Pixels, right: Pixels) -> Pixels:
    """Two images side by side on black, a gap between them; colour where either has it."""
    channels = max(left.shape[2], right.shape[2])
    height = max(left.shape[0], right.shape[0])
    whole = np.zeros((height, left.shape[1] + GAP + right.shape[1], channels), np.uint8)
    whole[: left.shape[0], : left.shape[1]] = left
    whole[: right.shape[0], left.shape[1] + GAP :] = right
    return whole
