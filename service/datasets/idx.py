"""The IDX format of MNIST and its successors (yann.lecun.com/exdb/mnist): a magic number, the sizes, the bytes."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.datasets.split import Split
from service.errors import DatasetMissing

UNSIGNED_BYTES = 0x08
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file, gzipped or not. Raises DatasetMissing where it is damaged."""
    try:
        return _parse(path.read_bytes())
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DatasetMissing(f"{path} is damaged ({error}); delete it and fetch it again.") from error


def _parse(data: bytes) -> NDArray[np.uint8]:
    if data.startswith(GZIP_MAGIC):
        data = gzip.decompress(data)
    zero, kind, dimensions = struct.unpack_from(">HBB", data)
    if (zero, kind) != (0, UNSIGNED_BYTES):
        raise ValueError("it does not begin like an IDX file of unsigned bytes")
    sizes = struct.unpack_from(f">{dimensions}I", data, 4)
    # A copy, because torch shares memory only with arrays that can be written.
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(sizes).copy()


def read_idx_pair(images: Path, labels: Path) -> Split:
    """Grey images (n, H, W, 1) and their labels."""
    pixels, names = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or names.shape != pixels.shape[:1]:
        raise DatasetMissing(f"{images} and {labels} do not belong together: {pixels.shape} and {names.shape}.")
    return Split(pixels[..., None], names)
