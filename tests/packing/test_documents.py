import json

import numpy as np
from packing.holding import POINTS as SOME
from packing.holding import contents_of, packed

from service.packing.formats import POINTS


def test_a_document_names_its_points_and_what_the_data_are() -> None:
    contents = contents_of(SOME, modes=((1.0, 0.0), (0.0, 1.0)), deviation=0.1)
    document = json.loads(packed(POINTS["json"], SOME, contents=contents))
    points = document.pop("points")
    assert document == {"model": "m", "version": "v", "seed": 5, "modes": [[1, 0], [0, 1]], "deviation": 0.1}
    assert np.array_equal(np.array(points, np.float32), SOME)


def test_what_is_no_number_is_null() -> None:
    points = np.array([[0.5, np.nan], [np.inf, 1.0]], np.float32)
    assert json.loads(packed(POINTS["json"], points))["points"] == [[0.5, None], [None, 1.0]]
