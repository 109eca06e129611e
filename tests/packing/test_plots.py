from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray
from packing.holding import contents_of, packed

from service.imaging import decode
from service.packing.formats import POINTS
from service.packing.plots import FOOT, LEAST_RING, SIDE, place_marks

SQUARE = ((-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0))


def array(*points: tuple[float, float]) -> NDArray[np.float32]:
    return np.array(points, np.float32)


def test_x_goes_right_and_y_up_to_one_scale() -> None:
    marks = place_marks(contents_of(array((0, 0)), modes=SQUARE), array((0, 0), (0.5, 0), (0, 0.5)))
    (x, y), right, up = marks.dots
    assert (x, y) == (SIDE / 2, SIDE / 2)
    assert right[0] - x == pytest.approx(y - up[1])
    assert right[0] > x
    assert right[1] == y
    assert len(marks.rings) == 4


def test_what_lies_outside_or_is_no_number_is_counted_and_not_drawn() -> None:
    points = array((0, 0), (9, 0), (0, np.nan), (np.inf, 0))
    marks = place_marks(contents_of(points, modes=SQUARE), points)
    assert len(marks.dots) == 1
    assert marks.words == "4 points of m, 3 of them outside"


def test_without_modes_every_point_is_inside() -> None:
    points = np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32) * 50
    marks = place_marks(contents_of(points), points)
    assert len(marks.dots) == 100
    assert marks.rings == []
    assert marks.words == "100 points of m"


@pytest.mark.parametrize("points", [array((3, 4)), array((np.nan, 0)), array((2, 2), (2, 2))])
def test_points_without_any_extent_are_drawn_too(points: NDArray[np.float32]) -> None:
    assert len(place_marks(contents_of(points), points).dots) == np.isfinite(points).all(axis=1).sum()
    assert packed(POINTS["png"], points)


def test_a_ring_is_three_deviations_wide_where_that_can_be_seen() -> None:
    seen = place_marks(contents_of(array((0, 0)), modes=SQUARE, deviation=0.2), array((0, 0), (0.6, 0)))
    assert seen.radius == pytest.approx(seen.dots[1][0] - seen.dots[0][0])
    assert place_marks(contents_of(array((0, 0)), modes=SQUARE, deviation=1e-5), array((0, 0))).radius == LEAST_RING


def test_the_picture_shows_dots_and_rings() -> None:
    points = array((-1, -1), (0, 0))
    picture = decode(packed(POINTS["png"], points, contents=contents_of(points, modes=SQUARE)), limit_pixels=10**6)
    assert picture.shape == (SIDE + FOOT, SIDE, 3)
    middle = picture[SIDE // 2, SIDE // 2].astype(int)
    assert middle[2] > middle[0] + 50  # a blue dot
    orange = (picture[..., 0].astype(int) - picture[..., 2] > 100).sum()
    assert orange > 50
    assert (picture[2, 2] == 255).all()


def test_the_drawing_is_well_formed_and_holds_as_many_marks() -> None:
    points = array((-1, -1), (0, 0), (0.1, 0.2))
    drawing = ET.fromstring(packed(POINTS["svg"], points, contents=contents_of(points, modes=SQUARE)))
    names = [element.tag.rpartition("}")[2] for element in drawing]
    assert names.count("circle") == 4
    [path] = [element for element in drawing if element.tag.endswith("path")]
    assert path.get("d", "").count("M") == 3
