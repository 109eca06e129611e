"""PNG files of many small images of one shape, in a tenth of the time that a general encoder takes for each."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from zlib_ng import zlib_ng

from service.imaging import Pixels

_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
_CHECK = struct.Struct(">I")
_GREY, _RGB = 0, 2
_AS_IT_IS, _LESS_ITS_LEFT = 0, 1
"""PNG's filters of a row (PNG specification, section 9.2)."""
_LEVEL = 1
"""Of zlib-ng: 3 µs for a digit of 28×28 where zlib takes 13, and 15 bytes more."""


class PNGs:
    """Writes images uint8 (n, H, W, C), C of 1 or 3, as one PNG file each."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        height, width, channels = shape
        self._colour = channels == 3
        header = _HEADER.pack(width, height, 8, _RGB if self._colour else _GREY, 0, 0, 0)
        self._head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
        self._end = _chunk(b"IEND", b"")

    def encode(self, images: Pixels) -> Iterator[bytes]:
        """One file an image, in order."""
        for row in self._filtered(images):
            yield self._head + _chunk(b"IDAT", zlib_ng.compress(row, _LEVEL)) + self._end

    def _filtered(self, images: Pixels) -> Pixels:
        """Rows of pixels as they are compressed, (n, H, 1 + W·C): colour as differences, grey as it is."""
        count, height, width, channels = images.shape
        flat = images.reshape(count, height, width * channels)
        rows = np.empty((count, height, 1 + width * channels), np.uint8)
        rows[:, :, 0] = _LESS_ITS_LEFT if self._colour else _AS_IT_IS
        rows[:, :, 1:] = flat
        if self._colour:
            rows[:, :, 1 + channels :] -= flat[:, :, :-channels]
        return rows


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _CHUNK.pack(len(data), kind) + data + _CHECK.pack(zlib.crc32(data, zlib.crc32(kind)))
