"""Images packed into one file: a grid, a zip, an npz. The same images give the same bytes, wherever they are packed.

Archives are written piece by piece, so that no image waits in memory for the last.
"""

import io
import zipfile
from typing import Protocol

import numpy as np

from service.imaging import Pixels, encode_png, tile

GRID_LIMIT = 1024
"""A grid of more images is nothing to look at, and is made in memory."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ImageStream(Protocol):
    """A file of `count` images of one shape (H, W, C)."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None: ...

    def add(self, images: Pixels) -> bytes:
        """The bytes that some more images (n, H, W, C) add."""
        ...

    def finish(self) -> bytes:
        """The bytes that end the file."""
        ...

    def close(self) -> None:
        """Let go of what an unfinished file holds."""
        ...


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


class GridStream:
    """One PNG with every image on it."""

    def __init__(self, _count: int, _shape: tuple[int, ...]) -> None:
        self._images: list[Pixels] = []

    def add(self, images: Pixels) -> bytes:
        """Nothing yet: a PNG begins with its height."""
        self._images.append(images)
        return b""

    def finish(self) -> bytes:
        """The PNG."""
        return encode_png(tile(np.concatenate(self._images)))

    def close(self) -> None:
        """Forget the images."""
        self._images.clear()


class ZipStream:
    """A zip of PNG files, named by their index."""

    def __init__(self, count: int, _shape: tuple[int, ...]) -> None:
        self._digits = max(5, len(str(count - 1)))
        self._next = 0
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(self._outlet, "w", zipfile.ZIP_STORED)

    def add(self, images: Pixels) -> bytes:
        """The bytes of some more PNG files."""
        for image in images:
            name = f"{self._next:0{self._digits}}.png"
            self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), encode_png(image))
            self._next += 1
        return self._outlet.take()

    def finish(self) -> bytes:
        """The directory of the archive."""
        self.close()
        return self._outlet.take()

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()


class NpzStream:
    """An npz with one array, `images` uint8 (count, H, W, C)."""

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        self._outlet = _Outlet()
        self._zip = zipfile.ZipFile(self._outlet, "w", zipfile.ZIP_STORED)
        self._member = self._zip.open(zipfile.ZipInfo("images.npy", _EPOCH), "w", force_zip64=True)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
        np.lib.format.write_array_header_1_0(self._member, header)

    def add(self, images: Pixels) -> bytes:
        """The bytes of some more rows of the array."""
        self._member.write(np.ascontiguousarray(images).tobytes())
        return self._outlet.take()

    def finish(self) -> bytes:
        """The directory of the archive."""
        self.close()
        return self._outlet.take()

    def close(self) -> None:
        """Close the array and the archive."""
        self._member.close()
        self._zip.close()


STREAMS: dict[str, type[ImageStream]] = {
    "npz": NpzStream,
    "png": GridStream,
    "zip": ZipStream,
}
