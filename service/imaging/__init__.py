"""Image files to pixels and back: one decoder for every process, so that every process sees the same pixels."""

from service.imaging.ink import as_light_ink, in_form, redrawn
from service.imaging.pixels import Filter, Pixels, conform, encode_png, tile
from service.imaging.reading import DECODER, FRAMES, MEDIA_TYPES, Picture, claimed_pixels, decode, read_picture

__all__ = [
    "DECODER",
    "FRAMES",
    "MEDIA_TYPES",
    "Filter",
    "Picture",
    "Pixels",
    "as_light_ink",
    "claimed_pixels",
    "conform",
    "decode",
    "encode_png",
    "in_form",
    "read_picture",
    "redrawn",
    "tile",
]
