"""Where image files of other formats than PNG and JPEG end, so that bytes behind the image do not go unnoticed.

Decoders stop at the end and say nothing of what follows. GIF: `gif.py`; TIFF: TIFF 6.0, section 2, and
BigTIFF; WebP: RIFF; BMP and PNM: the size of their pixels.
"""

import re
import struct
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from service.errors import UnreadableImage
from service.imaging import gif

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_LEAST_HEADER_BYTES = 12
_TOKEN = re.compile(rb"[^\s#]+|#[^\r\n]*")
_BIT_OR_COMMENT = re.compile(rb"[01]|#[^\r\n]*")

_ROUND_BYTES = 16
"""Writers of TIFF fill their files with zeros to a multiple of 2, 4 or this."""
READ_TWICE = 2
"""So often all of a TIFF may be read to see what it names; more is read where its parts lie upon each other."""
_TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
"""Bytes of one number of each of TIFF's types."""
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_DIRECTORIES = (330, 34665, 34853, 40965)
"""Tags that say where further directories lie: those of smaller images, EXIF, GPS and interoperability."""
_PIECES = ((273, 279), (324, 325), (513, 514), (288, 289))
"""Tags that say where strips, tiles, a small JPEG and free room lie, and of how many bytes they are."""


def rest_bytes(data: bytes) -> int:
    """Bytes behind the end that a GIF, a TIFF, a WebP or a BMP itself states; 0 where it states none.

    Raises UnreadableImage for a GIF without its end, and for a TIFF whose parts lie upon each other.
    """
    if data.startswith(gif.STARTS):
        return gif.rest_bytes(data)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _behind_tiff(data)
    stated = len(data)
    if data.startswith(b"RIFF"):
        stated = int.from_bytes(data[4:8], "little") + 8
        stated += stated % 2
    elif data.startswith(b"BM"):
        stated = int.from_bytes(data[2:6], "little") or stated  # some writers leave it out
    return max(0, len(data) - stated) if stated >= _LEAST_HEADER_BYTES else 0


def bytes_behind_pixels(image: "ImageFile", data: bytes) -> int:
    """Bytes behind the pixels of a BMP or a PNM that Pillow has opened and not yet read."""
    if image.format not in ("PPM", "BMP") or len(image.tile) != 1:
        return 0
    codec, _, start, given = image.tile[0]
    arguments: Any = given
    if codec == "ppm_plain":
        return _behind_words(image, data, start)
    if codec not in ("raw", "ppm"):
        return 0
    row_bytes = arguments[1] if image.format == "BMP" else _row_bytes(image, arguments)
    return max(0, len(data) - start - row_bytes * image.height)


def _row_bytes(image: "ImageFile", arguments: Any) -> int:
    """Of a row of a PNM's bytes."""
    if image.mode == "1":
        return -(-image.width // 8)
    is_wide = image.mode.startswith("I") if isinstance(arguments, str) else arguments[1] > 255
    return image.width * len(image.getbands()) * (2 if is_wide else 1)


def _behind_words(image: "ImageFile", data: bytes, start: int) -> int:
    """Bytes behind the last number of a PNM in plain text, but for white space and comments."""
    from PIL import Image

    word = _BIT_OR_COMMENT if image.mode == "1" else _TOKEN
    left = image.width * image.height * Image.getmodebands(image.mode)
    for found in word.finditer(data, start):
        left -= not found[0].startswith(b"#")
        if left == 0:
            return sum(len(more) for more in _TOKEN.findall(data, found.end()) if not more.startswith(b"#"))
    return 0


class _Field(NamedTuple):
    """An entry of a directory: its values lie from `start` to `stop`."""

    tag: int
    kind: int
    start: int
    stop: int


class _Tiff:
    """The directories of a TIFF, and the end of everything that they name.

    Raises struct.error beyond the data, and UnreadableImage for parts that lie upon each other.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        self._is_big = 43 in data[2:4]
        self._place = "Q" if self._is_big else "I"
        self._entry = struct.Struct(f"{self._order}HH{2 * self._place}")
        self._known: set[int] = set()
        self._left_bytes = READ_TWICE * len(data)
        self._end = 0

    def walk(self) -> int:
        """Look at every directory; the end of the last thing that one of them names."""
        waiting = [self._number(self._place, 8 if self._is_big else 4)]
        while waiting:
            at = waiting.pop()
            if at and at not in self._known:
                self._known.add(at)
                waiting += self._directory(at)
        return self._end

    def _number(self, kind: str, at: int) -> int:
        (value,) = struct.unpack(self._order + kind, self._data[at : at + struct.calcsize(kind)])
        return int(value)

    def _directory(self, at: int) -> Iterator[int]:
        """The places of further directories."""
        head = "Q" if self._is_big else "H"
        first = at + struct.calcsize(head)
        last = first + self._number(head, at) * self._entry.size
        self._spend(last - at)
        self._reach(last + struct.calcsize(self._place))
        fields = {field.tag: field for field in self._fields(first, last)}
        for places, lengths in _PIECES:
            if places in fields and lengths in fields:
                for start, length in zip(self._values(fields[places]), self._values(fields[lengths]), strict=False):
                    self._reach(start + length)
        for tag in _DIRECTORIES:
            if tag in fields:
                yield from self._values(fields[tag])
        yield self._number(self._place, last)

    def _fields(self, first: int, last: int) -> Iterator[_Field]:
        """The entries of a directory; what has few bytes stands in its entry itself."""
        width = struct.calcsize(self._place)
        entries = self._entry.iter_unpack(self._data[first:last])
        for end, (tag, kind, amount, place) in zip(
            count(first + self._entry.size, self._entry.size), entries, strict=False
        ):
            length = amount * _TYPE_BYTES[kind] if kind < len(_TYPE_BYTES) else 0
            start = place if length > width else end - width
            self._reach(start + length)
            yield _Field(tag, kind, start, start + length)

    def _values(self, field: _Field) -> tuple[int, ...]:
        kind = _WHOLE_NUMBERS.get(field.kind)
        if kind is None or field.stop > len(self._data):
            return ()
        self._spend(field.stop - field.start)
        amount = (field.stop - field.start) // struct.calcsize(kind)
        return struct.unpack_from(f"{self._order}{amount}{kind}", self._data, field.start)

    def _reach(self, end: int) -> None:
        self._end = max(self._end, end)

    def _spend(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0 and size <= len(self._data):
            raise UnreadableImage("The parts of the TIFF lie upon each other.")


def _behind_tiff(data: bytes) -> int:
    try:
        end = _Tiff(data).walk()
    except struct.error:
        return 0  # cut short: its decoder says so
    rest = data[end:]
    return 0 if len(rest) < _ROUND_BYTES and not any(rest) else len(rest)
