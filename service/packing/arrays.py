"""Samples as an array: npy, or npz with one array called `images` or `points`."""

import io
import zipfile
from typing import ClassVar

import numpy as np

from service.packing.stream import Contents, Samples

_EPOCH = (1980, 1, 1, 0, 0, 0)


class NPY:
    """An npy with one array (count, …), uint8 for images and float32 for points."""

    limit: ClassVar[int | None] = None

    def __init__(self, contents: Contents) -> None:
        head = io.BytesIO()
        described = {"descr": contents.dtype, "fortran_order": False, "shape": (contents.count, *contents.shape)}
        np.lib.format.write_array_header_1_0(head, described)
        self._head = head.getvalue()
        self._dtype = np.dtype(contents.dtype)

    def add(self, samples: Samples) -> bytes:
        """The bytes of some more rows of the array."""
        head, self._head = self._head, b""
        return head + samples.astype(self._dtype, copy=False).tobytes()

    def finish(self) -> bytes:
        """Nothing: the array ends with its last row."""
        return b""

    def close(self) -> None:
        """Nothing is held."""


class NPZ:
    """An npz with one array, as NPY has it."""

    limit: ClassVar[int | None] = None

    def __init__(self, contents: Contents) -> None:
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(self._outlet, "w", zipfile.ZIP_STORED)
        self._member = self._zip.open(zipfile.ZipInfo(f"{contents.name}.npy", _EPOCH), "w", force_zip64=True)
        self._array = NPY(contents)

    def add(self, samples: Samples) -> bytes:
        """The bytes of some more rows of the array."""
        self._member.write(self._array.add(samples))
        return self._outlet.take()

    def finish(self) -> bytes:
        """The directory of the archive."""
        self.close()
        return self._outlet.take()

    def close(self) -> None:
        """Close the array and the archive."""
        self._member.close()
        self._zip.close()


class _Outlet(io.RawIOBase):
    """A file that can only be appended to, and emptied into the answer."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
