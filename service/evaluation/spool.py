"""Samples on their way to the extractor: fitted, kept in a file, ordered by what they are, not where they lay."""

from collections.abc import Sequence
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import UnreadableArchive
from service.imaging import conform

ROWS_AT_ONCE = 1024


class ImageSpool:
    """Decoded images (H, W, 1 or 3) of any size, as a file of pixels (n, height, width, channels) in hash order."""

    def __init__(self, working_dir: Path, *, size: tuple[int, int], channels: int) -> None:
        self._size = size
        self._channels = channels
        self._arrived = working_dir / "arrived.pixels"
        self._ordered = working_dir / "ordered.pixels"
        self._file = self._arrived.open("wb")
        self._resized = 0
        self._recoloured = 0
        self.digests: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Take one image."""
        self.digests.append(digest(pixels))
        self._resized += pixels.shape[:2] != self._size
        self._recoloured += pixels.shape[2] != self._channels
        self._file.write(np.ascontiguousarray(conform(pixels, size=self._size, channels=self._channels)).data)

    def finish(self) -> NDArray[np.uint8]:
        """All images, ordered. Raises UnreadableArchive where there are none."""
        if not self.digests:
            raise UnreadableArchive("The file holds no image.")
        self._file.close()
        shape = (len(self.digests), *self._size, self._channels)
        arrived = np.memmap(self._arrived, np.uint8, mode="r", shape=shape)
        ordered = ordered_copy(arrived, order_of(self.digests), self._ordered)
        self._arrived.unlink()
        return ordered

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done to the images so that they fit."""
        count, (height, width) = len(self.digests), self._size
        colour = "grey" if self._channels == 1 else "colour"
        said = []
        if self._resized:
            said.append(f"{self._resized:,} of {count:,} images were resized to {height}×{width}.")
        if self._recoloured:
            said.append(f"{self._recoloured:,} of {count:,} images were converted to {colour}.")
        return (*said, *copies_warning(self.digests))


def digest(row: NDArray[Any]) -> bytes:
    """16 bytes that stand for one sample's values and shape."""
    return blake2b(row.tobytes(), digest_size=16, person=repr(row.shape).encode()[:16]).digest()


def order_of(digests: Sequence[bytes]) -> NDArray[np.intp]:
    """The permutation that sorts the samples by their digests."""
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), np.intp)


def content_sha256(kind: str, digests: Sequence[bytes]) -> str:
    """The sha256 of a set: the same whatever the order, the packing and the names of its files."""
    return sha256(kind.encode() + b"".join(sorted(digests))).hexdigest()


def ordered_copy(rows: NDArray[Any], order: NDArray[np.intp], target: Path) -> NDArray[Any]:
    """`rows[order]` as a read-only map of the file `target`, copied in blocks."""
    copy = np.memmap(target, rows.dtype, mode="w+", shape=rows.shape)
    for start in range(0, len(order), ROWS_AT_ONCE):
        part = order[start : start + ROWS_AT_ONCE]
        copy[start : start + len(part)] = rows[part]
    copy.flush()
    return np.memmap(target, rows.dtype, mode="r", shape=rows.shape)


def copies_warning(digests: Sequence[bytes]) -> tuple[str, ...]:
    """A sentence where samples are exact copies of others."""
    copies = len(digests) - len(set(digests))
    return (f"{copies:,} of {len(digests):,} samples are exact copies of others.",) if copies else ()
