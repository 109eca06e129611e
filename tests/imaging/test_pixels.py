import numpy as np
import pytest

from service.imaging import conform

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2)], ids=["wide", "tall"])
def test_of_a_row_of_pixels_only_the_middle_is_resized(axes: tuple[int, int, int]) -> None:
    long = DRAW.integers(0, 256, (3, 60_000, 3), np.uint8)
    near = long[:, 29_850:30_150]
    found, expected = (
        conform(np.ascontiguousarray(image.transpose(axes)), size=(70, 64), channels=3, shorter=64)
        for image in (long, near)
    )
    np.testing.assert_allclose(found, expected, atol=1)
    thin = np.full((1, 4_000_000, 1), 7, np.uint8)  # whole it would have 262 thousand million pixels
    assert (conform(thin, size=(224, 224), channels=1, shorter=256) == 7).all()
