"""JPEG files, decoded by libjpeg-turbo as Pillow does it, but strictly: what libjpeg only warns of is an error here.

A file that lost its data and kept an end marker is grey from there on; libjpeg says so, and Pillow does not pass it on.
The library is loaded by what needs it: no other image waits for it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from service.errors import UnreadableImage
from service.imaging.pixels import Pixels

START = b"\xff\xd8\xff"
END = b"\xff\xd9"
COLOURS = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""What a file holds, and what is made of it."""
EXIF = b"Exif\0\0"
PARTS = (8, 4, 2)
"""Parts of their size in which blocks of 8×8 can be decoded in less time than as a whole."""
MOST_SEGMENTS = 64
"""Segments before the pixels that are looked at one by one."""
_FILL, _END, _SCAN = 0xFF, 0xD9, 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_NO_SEGMENT = _WITHOUT_LENGTH | {0x00, _END, _FILL}
_MARKS = np.ones(256, bool)
_MARKS[[0x00, 0xFF, *range(0xD0, 0xD8)]] = False
"""What behind 0xFF makes a marker: no stuffed byte, no filling, and no restart within a scan."""
_PAIR = np.dtype("<u2")
_END_PAIR = int.from_bytes(END, "little")
_WINDOW = 1 << 16
"""So much of a file is looked through at a time: what is found in it takes little memory, whatever it is."""


class Layout(NamedTuple):
    """What a JPEG says of itself."""

    height: int
    width: int
    space: str


def layout_of(data: bytes) -> Layout | None:
    """The size and the space of a file; None for one that simplejpeg cannot make sense of."""
    import simplejpeg

    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return Layout(height, width, space)


def part_of(layout: Layout, enough: int) -> int:
    """The smallest part of its size, 1/2, 1/4 or 1/8, in which no side is shorter than `enough`; 1 for the whole.

    It divides both sides: else they become longer by a fraction of a pixel, and everything in the image moves.
    """
    height, width = layout.height, layout.width
    fitting = (part for part in PARTS if min(height, width) >= part * enough)
    return next((part for part in fitting if height % part == width % part == 0), 1)


def decode(data: bytes, layout: Layout, part: int = 1) -> Pixels:
    """Pixels (H, W, 1) or (H, W, 3), of a part of the size. Raises UnreadableImage where libjpeg as much as warns."""
    import simplejpeg

    height, width = (-(-side // part) if part > 1 else 0 for side in layout[:2])
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data,
            colorspace=COLOURS.get(layout.space, "CMYK"),
            fastdct=False,
            fastupsample=False,
            min_height=height,
            min_width=width,
            min_factor=part,
        )
    except ValueError as error:
        raise UnreadableImage(f"The JPEG is damaged: {error}.") from error
    return np.ascontiguousarray(pixels)


def head_of(data: bytes) -> bytes:
    """What stands before the pixels, some tenths of a percent of a photograph; the whole file where that is unusual."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != _FILL or data[at + 1] in _NO_SEGMENT:
            break
        if data[at + 1] == _SCAN:
            return data[:at]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data


def rest_bytes(data: bytes) -> int:
    """How many bytes lie behind the image's end; 0 where the end is not found."""
    if _ends_at_last(data):
        return 0
    at = 2
    for found in _markers(data):
        if found < at:
            continue  # within a segment, whose bytes mean nothing here
        marker, at = data[found + 1], found + 2
        if marker == _END:
            return len(data) - at
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return 0


def _ends_at_last(data: bytes) -> bool:
    """Whether the last bytes are an end and none stands before them, as in nearly all files: quickly looked through."""
    last = len(data) - len(END)
    if not data.endswith(END):
        return False
    head = head_of(data)
    begin = len(head) if len(head) < len(data) else len(START) - 1
    for start in range(begin, last, _WINDOW):
        for first in (start, start + 1):
            pairs = (min(start + _WINDOW + 1, last + 1) - first) // 2
            if (np.frombuffer(data, _PAIR, pairs, first) == _END_PAIR).any():
                return False
    return True


def _markers(data: bytes) -> Iterator[int]:
    """Where a 0xFF stands before what makes it a marker, in order."""
    whole = np.frombuffer(data, np.uint8)
    for start in range(0, len(data) - 1, _WINDOW):
        window = whole[start : start + _WINDOW + 1]
        places = np.flatnonzero(window[:-1] == _FILL)
        yield from (places[_MARKS[window[places + 1]]] + start).tolist()
