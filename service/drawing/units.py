"""Figure 2 of Zeiler and Fergus: the patches to which each unit answers most, and what was sent back of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.drawing.captions import captioned, numbered
from service.drawing.explanation import Array, beside, enlarge
from service.drawing.scales import legend_of, signed
from service.explanations import Scale
from service.imaging import Pixels, tile

PATCH = 40
"""Pixels along the side of one patch, at least; of a unit that is shown alone:"""
ALONE = 72
OUTSIDE = 40
"""The grey of what a unit sees beside the image."""


class Patch(NamedTuple):
    """Part of an image that a unit sees, its projection (H, W, C), and where that lies in all that the unit sees."""

    pixels: Pixels
    projection: Array
    top: int
    left: int


class UnitPatches(NamedTuple):
    """A unit's number, its largest and least strength among these patches, and the patches, strongest first."""

    unit: int
    most: float
    least: float
    patches: Sequence[Patch]


def draw_units(units: Sequence[UnitPatches], field: tuple[int, int], lines: Sequence[str], scale: Scale) -> Pixels:
    """Units of one layer, whose field has this height and width, as one picture with words below it."""
    least = ALONE if len(units) == 1 else PATCH
    pictures = [_draw_unit(unit, field, least) for unit in units]
    picture = tile(np.stack(pictures), gap=6, columns=math.ceil(math.sqrt(len(pictures))))
    return captioned(picture, lines, legend_of("deconvnet", scale))


def _draw_unit(unit: UnitPatches, field: tuple[int, int], least: int) -> Pixels:
    """Projections on the left, the patches that they are of on the right, each three by three."""
    sides = [
        tile(np.stack([_placed(shades, patch, field, least) for shades, patch in zip(all_, unit.patches, strict=True)]))
        for all_ in (
            [signed(patch.projection) for patch in unit.patches],
            [patch.pixels for patch in unit.patches],
        )
    ]
    nothing = "" if unit.most > 0 else ", nothing to send back"
    return numbered(beside(*sides), f"unit {unit.unit}: {unit.most:.3g} to {unit.least:.3g}{nothing}")


def _placed(shades: Pixels, patch: Patch, field: tuple[int, int], least: int) -> Pixels:
    """A patch where it lies in the whole field, so that all are of one size; what is no image is dark grey."""
    whole = np.full((*field, shades.shape[2]), OUTSIDE, np.uint8)
    whole[patch.top : patch.top + shades.shape[0], patch.left : patch.left + shades.shape[1]] = shades
    return enlarge(whole, least)
