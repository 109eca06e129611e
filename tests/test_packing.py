import io
import zipfile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.imaging import encode_png, tile
from service.packing import STREAMS

IMAGES: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (11, 3, 5, 3), dtype=np.uint8)


def packed(kind: str, images: NDArray[np.uint8], *, block: int) -> bytes:
    stream = STREAMS[kind](len(images), images.shape[1:])
    pieces = [stream.add(images[start : start + block]) for start in range(0, len(images), block)]
    return b"".join([*pieces, stream.finish()])


@pytest.mark.parametrize("kind", STREAMS)
def test_the_bytes_do_not_depend_on_the_blocks(kind: str) -> None:
    assert packed(kind, IMAGES, block=4) == packed(kind, IMAGES, block=11) == packed(kind, IMAGES, block=1)


def test_a_zip_holds_a_png_an_image_in_order() -> None:
    with zipfile.ZipFile(io.BytesIO(packed("zip", IMAGES, block=4))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{index:05}.png" for index in range(11)]
        for image, name in zip(IMAGES, archive.namelist(), strict=True):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(archive.read(name)))), image)


def test_an_npz_holds_one_array() -> None:
    with np.load(io.BytesIO(packed("npz", IMAGES, block=4))) as arrays:
        assert list(arrays) == ["images"]
        assert np.array_equal(arrays["images"], IMAGES)


def test_a_grid_holds_every_image() -> None:
    assert packed("png", IMAGES, block=4) == encode_png(tile(IMAGES))


@pytest.mark.parametrize("kind", ["npz", "zip"])
def test_no_image_waits_for_the_last(kind: str) -> None:
    assert len(STREAMS[kind](11, IMAGES.shape[1:]).add(IMAGES[:4])) > 4 * IMAGES[0].size
