"""Blocks of images as an engine takes them: resized already, or at their own size where that is less to send."""

import numpy as np

from service.evaluation.album import Album, Images
from service.imaging import Pixels
from service.resampling import resample
from service.runtime.calls import Array
from service.store import ImageInput
from service.tasks.features import AT_ANY_SIZE

FLOAT_BYTES = 4


def block_of(images: Images, start: int, stop: int, spec: ImageInput) -> tuple[str, Array]:
    """The verb that takes these images, and their pixels.

    How a block is sent depends on its images alone, so that its features do, too: pixels as they are stored if they
    have one size and take no more bytes than what they are resampled to, else resampled here, one by one.
    """
    if spec.in_whole_pixels:
        assert not isinstance(images, Album)
        return "features", np.ascontiguousarray(images[start:stop])
    rows = [images[row] for row in range(start, min(stop, len(images)))]
    if spec.resample == "as-sent" or _lighter_as_stored(rows, spec):
        return AT_ANY_SIZE, np.stack(rows)
    return "features", np.stack([resample(row, spec.resample, spec.size) for row in rows])


def _lighter_as_stored(rows: list[Pixels], spec: ImageInput) -> bool:
    height, width = spec.size
    return len({row.shape for row in rows}) == 1 and rows[0][..., 0].size <= height * width * FLOAT_BYTES
