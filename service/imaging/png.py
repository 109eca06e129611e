"""The chunks of a PNG file (PNG specification, third edition, section 5): every checksum checked, up to the last byte.

libspng, which decodes the pixels, takes a damaged file for a whole one.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from service.errors import UnreadableImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
"""Types of colour that libspng decodes as they are."""
LEFT_TO_PILLOW = frozenset({b"tRNS", b"eXIf", b"acTL"})
"""A transparent value, a camera's orientation, further frames: what libspng knows nothing of, and Pillow does."""
_HEADER = struct.Struct(">IIBB")
_CHUNK = struct.Struct(">I4s")
_CRC = struct.Struct(">I")


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
    names: set[bytes] = set()
    end = len(SIGNATURE)
    for name, start, stop in _chunks(data):
        if not names and (name != b"IHDR" or stop - start != 13):
            raise _damaged("it does not begin with a header")
        names.add(name)
        end = stop + _CRC.size
        if name == b"IEND":
            break
    else:
        raise _damaged("it ends before its end chunk")
    if b"IDAT" not in names:
        raise _damaged("it holds no pixels")
    width, height, depth, colour = _HEADER.unpack_from(data, len(SIGNATURE) + _CHUNK.size)
    return Layout(width, height, depth, colour, frozenset(names), len(data) - end)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk, and from where to where its content reaches."""
    view, at = memoryview(data), len(SIGNATURE)
    while at + _CHUNK.size + _CRC.size <= len(data):
        length, name = _CHUNK.unpack_from(data, at)
        start = at + _CHUNK.size
        stop = start + length
        if stop + _CRC.size > len(data):
            raise _damaged(f"its chunk {_word(name)} is cut short")
        if crc32(view[at + 4 : stop]) != _CRC.unpack_from(data, stop)[0]:
            raise _damaged(f"the checksum of its chunk {_word(name)} is wrong")
        yield name, start, stop
        at = stop + _CRC.size


def _word(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")


def _damaged(reason: str) -> UnreadableImage:
    return UnreadableImage(f"The PNG is damaged: {reason}.")
