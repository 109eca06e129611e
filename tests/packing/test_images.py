import io
import zipfile

import numpy as np
import pytest
from packing.holding import IMAGES as SOME
from packing.holding import contents_of, packed
from PIL import Image

from service.imaging import decode, tile
from service.packing.formats import IMAGES


@pytest.mark.parametrize("channels", [1, 3])
def test_a_zip_holds_a_png_an_image_in_order(channels: int) -> None:
    images = SOME[..., :channels]
    with zipfile.ZipFile(io.BytesIO(packed(IMAGES["zip"], images))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{index:05}.png" for index in range(11)]
        for image, name in zip(images, archive.namelist(), strict=True):
            found = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert np.array_equal(found.reshape(image.shape), image)


@pytest.mark.parametrize("columns", [None, 5])
def test_a_grid_holds_every_image_in_as_many_columns_as_it_is_told(columns: int | None) -> None:
    grid = packed(IMAGES["png"], SOME, contents=contents_of(SOME, columns=columns))
    assert np.array_equal(decode(grid, limit_pixels=10_000), tile(SOME, columns=columns))
    assert decode(grid, limit_pixels=10_000).shape[1] == 2 + (columns or 4) * (5 + 2)
