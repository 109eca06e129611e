"""The formats that samples come in: the word of a request, the media type, and who writes it."""

from typing import NamedTuple

from service.packing.arrays import NPY, NPZ
from service.packing.documents import PointsDocument
from service.packing.images import Grid, PNGFiles
from service.packing.plots import PlotPNG, PlotSVG
from service.packing.stream import Stream


class Format(NamedTuple):
    """One of them."""

    media_type: str
    stream: type[Stream]
    shown: bool = False
    """Whether a browser shows it; the others are saved."""


IMAGES: dict[str, Format] = {
    "png": Format("image/png", Grid, shown=True),
    "zip": Format("application/zip", PNGFiles),
    "npz": Format("application/x-npz", NPZ),
    "npy": Format("application/x-npy", NPY),
}
"""Of images; the first unless one is asked for."""
POINTS: dict[str, Format] = {
    "json": Format("application/json", PointsDocument, shown=True),
    "png": Format("image/png", PlotPNG, shown=True),
    "svg": Format("image/svg+xml", PlotSVG, shown=True),
    "npz": Format("application/x-npz", NPZ),
    "npy": Format("application/x-npy", NPY),
}
"""Of points in the plane; the first unless one is asked for."""
