"""The chunks of a PNG file (PNG specification, third edition, section 5): every checksum checked, up to the last byte.

libspng, which decodes the pixels, takes a damaged file for a whole one.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from service.errors import UnreadableImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
"""Types of colour that libspng decodes as they are."""
LEFT_TO_PILLOW = frozenset({b"tRNS", b"eXIf", b"acTL", b"iTXt", b"zTXt"})
"""A transparent value, a camera's orientation, in Exif or in a text, further frames: what libspng knows nothing of, and
Pillow does."""
MOST_CHUNKS = 1 << 16
"""More than encoders make of the largest images that are decoded."""
_HEADER_BYTES, _EMPTY_CHUNK_BYTES = 13, 12
_header_at = struct.Struct(">IIBB").unpack_from
_chunk_at = struct.Struct(">I4s").unpack_from
_number_at = struct.Struct(">I").unpack_from


class Layout(NamedTuple):
    """What a PNG says of itself."""

    width: int
    height: int
    depth: int
    colour: int
    names: frozenset[bytes]
    """Of its chunks."""
    rest_bytes: int
    """Behind the end chunk."""

    @property
    def is_plain(self) -> bool:
        """Whether it is 8-bit grey or RGB and nothing has to be done to its pixels."""
        return self.depth == 8 and self.colour in (GREY, RGB) and LEFT_TO_PILLOW.isdisjoint(self.names)


def layout_of(data: bytes) -> Layout:
    """Walk through the chunks of a file that begins with the signature. Raises UnreadableImage for a damaged one."""
    view, size = memoryview(data), len(data)
    names: list[bytes] = []
    at, name = len(SIGNATURE), b""
    while name != b"IEND":
        if at + _EMPTY_CHUNK_BYTES > size:
            raise _damaged("it ends before its end chunk")
        length, name = _chunk_at(data, at)
        stop = at + 8 + length
        if stop + 4 > size:
            raise _damaged(f"its chunk {_word(name)} is cut short")
        if crc32(view[at + 4 : stop]) != _number_at(data, stop)[0]:
            raise _damaged(f"the checksum of its chunk {_word(name)} is wrong")
        names.append(name)
        if len(names) > MOST_CHUNKS:
            raise UnreadableImage(f"The PNG has more than {MOST_CHUNKS:,} chunks.")
        at = stop + 4
    if names[0] != b"IHDR" or _number_at(data, len(SIGNATURE))[0] != _HEADER_BYTES:
        raise _damaged("it does not begin with a header")
    if b"IDAT" not in names:
        raise _damaged("it holds no pixels")
    width, height, depth, colour = _header_at(data, len(SIGNATURE) + 8)
    return Layout(width, height, depth, colour, frozenset(names), size - at)


def claimed_pixels(data: bytes) -> int | None:
    """Width times height as the header says; None where the file is shorter than one."""
    if len(data) < len(SIGNATURE) + 8 + _HEADER_BYTES:
        return None
    width, height, *_ = _header_at(data, len(SIGNATURE) + 8)
    return int(width * height)


def _word(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")


def _damaged(reason: str) -> UnreadableImage:
    return UnreadableImage(f"The PNG is damaged: {reason}.")
