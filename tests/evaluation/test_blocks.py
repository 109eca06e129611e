from pathlib import Path

import numpy as np
from evaluation.packing import digits

from service.evaluation.extraction import block_of
from service.evaluation.samples.album import Album
from service.resampling import resample
from service.store import ImageInput, Resample
from service.tasks.features import AT_ANY_SIZE


def spec_of(resampling: Resample, size: int = 4) -> ImageInput:
    return ImageInput(size=(size, size), channels=1, mean=(0.0,), std=(1.0,), resample=resampling)


def album(folder: Path, *sizes: int) -> Album:
    images = [digits(1, seed=size, size=size)[0] for size in sizes]
    (folder / "pixels").write_bytes(b"".join(image.tobytes() for image in images))
    order = np.arange(len(images))
    return Album(folder / "pixels", [image.shape for image in images], order.tolist(), order[::-1])


def test_images_that_were_fitted_are_sent_as_they_are() -> None:
    images = digits(5, size=4)
    verb, rows = block_of(images, 2, 6, spec_of("pillow-bilinear"))
    assert verb == "features"
    np.testing.assert_array_equal(rows, images[2:])


def test_small_images_are_resampled_by_the_engine() -> None:
    images = digits(5, size=8)
    verb, rows = block_of(images, 0, 4, spec_of("bilinear"))
    assert (verb, rows.dtype.name) == (AT_ANY_SIZE, "uint8")
    np.testing.assert_array_equal(rows, images[:4])


def test_large_images_are_resampled_before_they_are_sent() -> None:
    images = digits(3, size=9)
    verb, rows = block_of(images, 0, 4, spec_of("bicubic-antialias"))
    assert (verb, rows.dtype.name, rows.shape) == ("features", "float32", (3, 4, 4, 1))
    np.testing.assert_array_equal(rows[1], resample(images[1], "bicubic-antialias", (4, 4)))


def test_images_of_several_sizes_are_resampled_one_by_one(tmp_path: Path) -> None:
    images = album(tmp_path, 2, 5, 3, 3)
    verb, rows = block_of(images, 2, 9, spec_of("bilinear-tf1"))
    assert (verb, rows.shape) == ("features", (2, 4, 4, 1))
    np.testing.assert_array_equal(rows[1], resample(images[3], "bilinear-tf1", (4, 4)))
    verb, rows = block_of(images, 0, 2, spec_of("bilinear-tf1"))
    assert (verb, rows.shape) == (AT_ANY_SIZE, (2, 3, 3, 1))


def test_images_that_are_taken_as_sent_are_never_resized() -> None:
    images = digits(2, size=30)
    verb, rows = block_of(images, 0, 2, spec_of("as-sent"))
    assert verb == AT_ANY_SIZE
    np.testing.assert_array_equal(rows, images)
