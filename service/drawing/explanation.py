"""Explanations as pictures for people: the image on the left, what the method answered on the right, words below."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.drawing.captions import captioned, numbered
from service.drawing.scales import Arrays, glow, legend_of, scale_of, signed, stretched
from service.imaging import Pixels, tile

Array = NDArray[Any]

WHOLE = 224
"""Pixels along the side of an image that is shown by itself, at least."""
CELL = 72
"""Pixels along the side of one picture among many, at least."""
NUMBERED = 32
"""Pixels along the side of a picture that has room for the number of its unit, at least."""
MOST = 400
"""Pictures of maps or kernels, at most."""
CLOSE = 2 / 3
"""Projections that reach over less of the image's side than this are shown from close by."""
GAP = 8


def draw_explanation(method: str, arrays: Arrays, image: Pixels, lines: Sequence[str] = ()) -> Pixels:
    """The image (H, W, C) and what `method` answered about it, the items' axis taken off, as one picture.

    `lines` of words and what the colours stand for are written below.
    """
    picture = beside(enlarge(image, WHOLE), DRAWINGS[method](arrays, image))
    return captioned(picture, lines, legend_of(method, scale_of(method, arrays)))


def _draw_projections(arrays: Arrays, image: Pixels) -> Pixels:
    """Each projection; where all are small only its part of the image, that beside it, as in the paper's figure 2."""
    projections = np.moveaxis(arrays["projections"], 1, -1)  # (U, H, W, C)
    side = max(map(_reach, projections))
    if side > CLOSE * min(image.shape[:2]):
        pictures = [enlarge(signed(one), _cell(len(projections))) for one in projections]
    else:
        pictures = []
        for one in projections:
            rows, columns = _window(one, side)
            patch = np.concatenate([image[rows, columns], signed(one[rows, columns])], axis=1)
            pictures.append(enlarge(patch, 2 * CELL))
    named = zip(pictures, arrays["units"], arrays["strengths"], strict=True)
    return tile(np.stack([numbered(picture, f"{unit}: {strength:.3g}") for picture, unit, strength in named]))


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


def _draw_odds(arrays: Arrays, image: Pixels) -> Pixels:
    """Each place's log-odds in its middle, so that the heat lies over what was occluded; from the least to the most."""
    heat, side, scale = arrays["log_odds"], int(arrays["square"]), scale_of("occlusion", arrays)
    for axis, (length, shown) in enumerate(zip(image.shape[:2], enlarge(image, WHOLE).shape[:2], strict=True)):
        pixels = (np.arange(shown) + 0.5) * length / shown
        middles = np.linspace(side / 2, length - side / 2, heat.shape[axis])
        heat = np.apply_along_axis(lambda line, x, y: np.interp(x, y, line), axis, heat, pixels, middles)
    return glow(stretched(heat, scale.low, scale.high))


def _draw_slopes(arrays: Arrays, _: Pixels) -> Pixels:
    scale = scale_of("saliency", arrays)
    return enlarge(stretched(arrays["slopes"], scale.low, scale.high)[:, :, None], WHOLE)


def _draw_maps(arrays: Arrays, _: Pixels) -> Pixels:
    maps, scale = arrays["maps"][:MOST], scale_of("activations", arrays)
    together = stretched(maps, scale.low, scale.high)
    shades = np.stack([stretched(one) for one in maps]) if scale.each else together
    pictures = [enlarge(one[:, :, None], _cell(len(maps))) for one in shades]
    named = zip(pictures, maps, arrays["units"], strict=False)
    return tile(np.stack([numbered(picture, f"{unit}: {_range(one)}") for picture, one, unit in named]))


def _range(values: Array) -> str:
    """The least and the largest value, or the only one."""
    ends = dict.fromkeys(f"{end:.2g}" for end in (values.min(), values.max()))
    return "…".join(ends)


def _draw_kernels(arrays: Arrays, _: Pixels) -> Pixels:
    kernels, units = arrays["kernels"], arrays["units"]  # (K, C, kh, kw)
    if kernels.shape[1] not in (1, 3):
        units = np.repeat(units, kernels.shape[1])
        kernels = kernels.reshape(-1, 1, *kernels.shape[2:])
    side = _cell(len(kernels[:MOST]), least=CELL // 3)
    pictures = [enlarge(signed(np.moveaxis(one, 0, -1)), side) for one in kernels[:MOST]]
    if side >= NUMBERED:
        pictures = [numbered(picture, str(unit)) for picture, unit in zip(pictures, units, strict=False)]
    return tile(np.stack(pictures))


DRAWINGS: dict[str, Callable[[Arrays, Pixels], Pixels]] = {
    "activations": _draw_maps,
    "deconvnet": _draw_projections,
    "filters": _draw_kernels,
    "guided": _draw_projections,
    "occlusion": _draw_odds,
    "saliency": _draw_slopes,
}


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
