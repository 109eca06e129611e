import numpy as np

from service.drawing.explanation import GAP
from service.drawing.units import OUTSIDE, Patch, UnitPatches, draw_units
from service.explanations import Scale

SCALE = Scale(quantity="activation at the pixels", low=-1.0, high=1.0, each=True, colours=("#000000", "#ffffff"))
WORD_ROW = 14
"""Pixels of the words above a unit."""


def patch(top: int = 0, left: int = 0, height: int = 5, width: int = 5) -> Patch:
    pixels = np.full((height, width, 1), 200, np.uint8)
    return Patch(pixels, np.linspace(-1, 1, height * width).reshape(height, width, 1), top, left)


def test_projections_stand_left_of_their_patches() -> None:
    picture = draw_units([UnitPatches(3, 2.0, 1.0, [patch()] * 9)], (5, 5), ["words"], SCALE)
    side = 75
    below = WORD_ROW + 2 + side // 2
    across = 3 * (side + 2) + 2
    assert picture[below, across + GAP + 2 + 10, 0] == 200
    assert (picture[WORD_ROW + 2, 2, 0], picture[WORD_ROW + side, side, 0]) == (0, 255)


def test_a_patch_at_the_edge_of_its_image_lies_where_the_unit_saw_it() -> None:
    picture = draw_units([UnitPatches(3, 2.0, 2.0, [patch(2, 1, 3, 4)])], (5, 5), [], SCALE)
    shown = picture[WORD_ROW : WORD_ROW + 75, 75 + GAP : 75 + GAP + 75, 0]  # one alone has no border
    assert (shown[:30] == OUTSIDE).all()
    assert (shown[30:, :15] == OUTSIDE).all()
    assert (shown[30:, 15:] == 200).all()


def test_units_are_tiled_near_square_in_colour_where_the_images_are() -> None:
    colour = Patch(np.full((5, 5, 3), 90, np.uint8), np.ones((5, 5, 3)), 0, 0)
    units = [UnitPatches(unit, 2.0, 1.0, [colour] * 9) for unit in range(9)]
    picture = draw_units(units, (5, 5), ["words"], SCALE)
    block = 2 * (3 * (40 + 2) + 2) + GAP
    assert picture.shape[1:] == (3 * (block + 6) + 6, 3)
