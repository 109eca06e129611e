"""Contents and samples for files that tests pack."""

import numpy as np
from numpy.typing import NDArray

from service.packing.formats import Format
from service.packing.stream import Contents, Point, Samples

IMAGES: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (11, 3, 5, 3), dtype=np.uint8)
POINTS: NDArray[np.float32] = np.random.default_rng(1).standard_normal((11, 2)).astype(np.float32)


def contents_of(
    samples: Samples, *, columns: int | None = None, modes: tuple[Point, ...] = (), deviation: float | None = None
) -> Contents:
    """What a file is told before these samples."""
    return Contents("m", "v", 5, len(samples), samples.shape[1:], columns, modes, deviation)


def packed(form: Format, samples: Samples, *, block: int = 4, contents: Contents | None = None) -> bytes:
    """The file of these samples, given block by block."""
    stream = form.stream(contents or contents_of(samples))
    pieces = [stream.add(samples[start : start + block]) for start in range(0, len(samples), block)]
    whole = b"".join([*pieces, stream.finish()])
    stream.close()
    return whole
