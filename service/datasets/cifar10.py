"""CIFAR-10 (Krizhevsky, Learning multiple layers of features from tiny images, 2009): 32×32 colour pixels, 10 classes.

The publisher hands out pickles. They are read with stand-ins for the three names of numpy that they use; every other
name is refused, so that nothing in the file is ever called.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from service.datasets.publication import Dataset, Part, PublishedFile
from service.datasets.split import Split
from service.errors import DatasetMissing

ARCHIVE = "cifar-10-python.tar.gz"
BATCHES: dict[Part, tuple[str, ...]] = {
    "train": tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
    "test": ("cifar-10-batches-py/test_batch",),
}
BATCH_LIMIT_BYTES = 64 * 1024 * 1024
ROW = (3, 32, 32)


class _Form:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: bytes | str, *_: object) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        """Byte order and the like; single bytes have none."""


class _Array:
    """Stands for `numpy.ndarray`: keeps what would be in it."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def rows(self) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """Unsigned bytes (n, 3·32·32). Raises ValueError for anything else."""
        _version, shape, kind, is_fortran, data = self.state
        if not (isinstance(kind, _Form) and kind.name == "u1" and isinstance(data, bytes)) or is_fortran:
            raise ValueError("the pixels are not plain unsigned bytes")
        return np.frombuffer(data, np.uint8).reshape(shape)


class _Unpickler(pickle.Unpickler):
    """Knows the stand-ins and nothing else."""

    STAND_INS: dict[tuple[str, str], Callable[..., object]] = {  # noqa: RUF012 - a table that nobody changes
        ("numpy", "dtype"): _Form,
        ("numpy", "ndarray"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy.core.multiarray", "_reconstruct"): _Array,
    }

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """The stand-in of a name. Raises UnpicklingError for every other."""
        try:
            return self.STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which has no place in CIFAR-10") from None


def _read(folder: Path, part: Part) -> Split:
    path = folder / ARCHIVE
    try:
        with tarfile.open(path, "r:gz") as archive:
            batches = [_read_batch(archive, name) for name in BATCHES[part]]
    except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, pickle.UnpicklingError, zlib.error) as error:
        raise DatasetMissing(f"{path} is damaged ({error}); delete it and fetch it again.") from error
    images = np.concatenate([images for images, _ in batches])
    return Split(np.ascontiguousarray(images), np.concatenate([labels for _, labels in batches]))


def _read_batch(
    archive: tarfile.TarFile, name: str
) -> "tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.uint8]]]":
    """Images (n, 32, 32, 3) and labels (n,) of one file of the archive."""
    member = archive.getmember(name)
    file = archive.extractfile(member)
    if file is None or member.size > BATCH_LIMIT_BYTES:
        raise ValueError(f"{name} is not a file of its size")
    batch = _Unpickler(io.BytesIO(file.read()), encoding="bytes").load()
    if not isinstance(batch, dict):
        raise ValueError(f"{name} is not a table")  # noqa: TRY004 - the file is wrong, not the caller
    fields = {key.decode("ascii") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    labels = np.asarray(fields["labels"], np.int64)
    if not isinstance(fields["data"], _Array) or not ((labels >= 0) & (labels < 10)).all():
        raise ValueError(f"{name} does not hold images and labels of ten classes")
    images = fields["data"].rows().reshape(-1, *ROW).transpose(0, 2, 3, 1)
    if len(images) != len(labels):
        raise ValueError(f"{name} holds {len(images)} images and {len(labels)} labels")
    return images, labels.astype(np.uint8)


# Address and md5 as in torchvision/datasets/cifar.py.
CIFAR10 = Dataset(
    name="cifar-10",
    classes=10,
    files=(
        PublishedFile(
            name=ARCHIVE,
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            md5="c58f30108f718f92721af3b95e74349a",
        ),
    ),
    read=_read,
)
