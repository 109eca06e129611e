import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imaging import decode
from service.packing.pngs import PNGs

SIDES = st.integers(1, 40)


@given(count=st.integers(1, 3), height=SIDES, width=SIDES, channels=st.sampled_from([1, 3]), seed=st.integers(0, 9))
def test_what_is_written_is_read_again_by_either_decoder(
    count: int, height: int, width: int, channels: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    for image, file in zip(images, PNGs(images.shape[1:]).encode(images), strict=True):
        assert np.array_equal(decode(file, limit_pixels=2000), image)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))).reshape(image.shape), image)


def test_an_empty_image_is_much_smaller_as_a_file() -> None:
    [file] = PNGs((28, 28, 1)).encode(np.zeros((1, 28, 28, 1), np.uint8))
    assert len(file) < 120
