"""JPEG files, decoded by libjpeg-turbo as Pillow does it, but strictly: what libjpeg only warns of is an error here.

A file that lost its data and kept an end marker is grey from there on; libjpeg says so, and Pillow does not pass it on.
"""

import re
from typing import NamedTuple

import numpy as np
import simplejpeg

from service.errors import UnreadableImage
from service.imaging.pixels import Pixels

START = b"\xff\xd8\xff"
COLOURS = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""What a file holds, and what is made of it."""
EXIF = b"Exif\0\0"
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""In a scan: a marker that is neither a stuffed byte nor a restart."""


class Layout(NamedTuple):
    """What a JPEG says of itself."""

    height: int
    width: int
    space: str


def layout_of(data: bytes) -> Layout | None:
    """The size and the space of a file; None for one that simplejpeg cannot make sense of."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return Layout(height, width, space)


def decode(data: bytes, layout: Layout) -> Pixels:
    """Pixels (H, W, 1) or (H, W, 3). Raises UnreadableImage where libjpeg as much as warns."""
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, colorspace=COLOURS.get(layout.space, "CMYK"), fastdct=False, fastupsample=False
        )
    except ValueError as error:
        raise UnreadableImage(f"The JPEG is damaged: {error}.") from error
    return np.ascontiguousarray(pixels)


def rest_bytes(data: bytes) -> int:
    """How many bytes lie behind the image's end; 0 where the end is not found."""
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            return len(data) - at
        if marker not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return 0
