"""Sets of samples as programs hold them, as the files that an evaluation reads."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from service.batches import Array, Layout, ValueRange, array_of, is_array, pixels_of
from service.client.images import Image, image_files, is_open
from service.errors import InvalidSamples

SampleSet: TypeAlias = str | PathLike[str] | bytes | BinaryIO | Array | Sequence[Image] | Mapping[str, Array]
"""A path to a file that an evaluation reads, or to a folder of images; the bytes of such a file or an open one; images
as one array or as several images; arrays by their names in an npz, such as `features`, `logits`, `mu` and `sigma`."""


def sample_file(
    samples: SampleSet, target: Path, *, layout: Layout | None = None, value_range: ValueRange | None = None
) -> Path:
    """The file of a set: where it lies already, or written to `target`.

    Raises InvalidSamples and InvalidRequest for arrays of no images, and for a folder without any.
    """
    if isinstance(samples, str | PathLike):
        from service.packing.folders import as_file

        return as_file(Path(samples), target)
    with target.open("wb") as file:
        if isinstance(samples, bytes):
            file.write(samples)
        elif is_open(samples):
            shutil.copyfileobj(samples, file)
        elif is_array(samples):
            np.save(file, _pixels(samples, layout, value_range), allow_pickle=False)
        elif isinstance(samples, Mapping):
            np.savez(file, allow_pickle=False, **{name: array_of(array) for name, array in samples.items()})
        else:
            _write_images(samples, file, layout, value_range)
    return target


def _pixels(samples: Array, layout: Layout | None, value_range: ValueRange | None) -> Any:
    if np.ndim(samples) == 2:
        raise InvalidSamples('An array of two axes is no set of images; features are named: {"features": array}.')
    return pixels_of(samples, layout=layout, value_range=value_range)


def _write_images(
    images: Sequence[Image], file: BinaryIO, layout: Layout | None, value_range: ValueRange | None
) -> None:
    """A zip of images, named by their places."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for place, image in enumerate(image_files(images, layout=layout, value_range=value_range)):
            archive.writestr(f"{place:08}", image.data)
