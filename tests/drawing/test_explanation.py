from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.drawing.captions import LEADING, SMALL
from service.drawing.explanation import DRAWINGS, draw_explanation

ROW = round(LEADING * SMALL)
"""Pixels of the number above one picture of many."""
BLACK = np.zeros((8, 8, 1), np.uint8)


def test_heat_lies_over_what_was_occluded() -> None:
    heat = np.ones((3, 3), np.float32)
    heat[0, 2] = 0.0  # behind the square in the upper right
    arrays = {"log_odds": heat, "square": np.array(4)}
    picture = DRAWINGS["occlusion"](arrays, np.zeros((8, 8, 3), np.uint8))
    dark = np.argwhere((picture == 0).all(axis=2)) / 28  # in pixels of the image
    assert dark.min(axis=0).tolist() == [0.0, pytest.approx(6.0, abs=0.1)]
    assert dark.max(axis=0).tolist() == [pytest.approx(2.0, abs=0.1), pytest.approx(8.0, abs=0.1)]


def test_a_change_however_small_is_seen_from_black_to_white() -> None:
    odds = 16 + np.linspace(0, 1e-3, 9).reshape(3, 3)  # probabilities of these are all 1 in single precision
    picture = DRAWINGS["occlusion"]({"log_odds": odds, "square": np.array(4)}, BLACK)
    assert (picture.min(), picture.max()) == (0, 255)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def projected(projections: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {"projections": projections, "units": np.arange(len(projections)), "strengths": np.ones(len(projections))}


def test_small_projections_are_shown_from_close_by_beside_their_part_of_the_image() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    projections = np.zeros((4, 1, 8, 8), np.float32)
    projections[0, 0, 2:4, 5:7] = 1.0
    projections[1, 0, 0, 7] = -1.0
    picture = DRAWINGS["deconvnet"](projected(projections), image)
    times, top = 36, 2 + ROW  # two pixels beside two in a cell of 144
    first = picture[top : top + 2 * times : times, 2 : 2 + 4 * times : times, 0]
    assert first.tolist() == [[21, 22, 255, 255], [29, 30, 255, 255]]
    second = picture[top : top + 2 * times : times, 4 + 4 * times : 4 + 8 * times : times, 0]
    assert second.tolist() == [[6, 7, 128, 0], [14, 15, 128, 128]]


def test_projections_all_over_the_image_are_shown_whole() -> None:
    projections = np.ones((9, 1, 8, 8), np.float32)
    picture = DRAWINGS["deconvnet"](projected(projections), BLACK)
    assert picture.shape == (3 * (80 + ROW) + 4 * 2, 3 * 80 + 4 * 2, 1)


def test_maps_of_one_pixel_are_shaded_against_each_other() -> None:
    arrays = {"maps": np.array([-1.0, 0.0, 1.0, 0.5]).reshape(4, 1, 1), "units": np.arange(4)}
    picture = DRAWINGS["activations"](arrays, BLACK)
    assert [int(picture[y, x, 0]) for y in (30, 160) for x in (10, 130)] == [0, 128, 255, 191]


def test_maps_are_each_drawn_on_a_scale_of_its_own_below_their_numbers() -> None:
    arrays = {"maps": np.array([[[0.0, 1.0]], [[-50.0, 50.0]]]), "units": np.array([7, 12])}
    picture = DRAWINGS["activations"](arrays, BLACK)
    below = 2 + ROW + 10
    assert [int(picture[below, x, 0]) for x in (10, 110)] == [0, 255]
    assert [int(picture[below, x, 0]) for x in (125, 220)] == [0, 255]
    for left in (2, 116):
        assert picture[2 : 2 + ROW, left : left + 40].max() > 200


def test_one_map_alone_has_no_border() -> None:
    arrays = {"maps": np.arange(64.0).reshape(1, 8, 8), "units": np.array([3])}
    assert DRAWINGS["activations"](arrays, BLACK).shape == (ROW + 224, 224, 1)


def test_small_kernels_of_many_inputs_have_no_numbers() -> None:
    few = DRAWINGS["filters"]({"kernels": np.ones((4, 1, 5, 5)), "units": np.arange(4)}, BLACK)
    many = DRAWINGS["filters"]({"kernels": np.ones((4, 50, 5, 5)), "units": np.arange(4)}, BLACK)
    assert few.shape[0] == 2 * (115 + ROW) + 3 * 2
    assert (many.shape[0] - 2) % (25 + 2) == 0


def test_words_stand_below_the_picture_and_do_not_change_it() -> None:
    arrays = {"slopes": np.arange(64.0).reshape(8, 8)}
    bare, told = (draw_explanation("saliency", arrays, BLACK, lines) for lines in ((), ("a net", "and its layer")))
    assert told.shape[0] > bare.shape[0] > 224
    assert told.shape[1] == bare.shape[1] == 224 + 8 + 224
    np.testing.assert_array_equal(bare[:224], told[:224])
