import io

import numpy as np
import pytest
from packing.holding import IMAGES as SOME_IMAGES
from packing.holding import POINTS as SOME_POINTS
from packing.holding import packed

from service.packing.formats import IMAGES, POINTS, Format
from service.packing.stream import Samples

KINDS = [(IMAGES, SOME_IMAGES, "images"), (POINTS, SOME_POINTS, "points")]


@pytest.mark.parametrize(("forms", "samples", "name"), KINDS, ids=["images", "points"])
def test_an_npz_holds_one_array_and_an_npy_nothing_else(forms: dict[str, Format], samples: Samples, name: str) -> None:
    with np.load(io.BytesIO(packed(forms["npz"], samples)), allow_pickle=False) as arrays:
        assert list(arrays) == [name]
        found = arrays[name]
    for array in (found, np.load(io.BytesIO(packed(forms["npy"], samples)), allow_pickle=False)):
        assert array.dtype == samples.dtype
        assert np.array_equal(array, samples)
