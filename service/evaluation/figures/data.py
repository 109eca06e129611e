"""What the page of an evaluation shows beside its numbers: points, shares, thumbnails, and the file that keeps them.

A figure is for the eye: no number of a report depends on one, and a report whose figures are gone is still whole.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from service.imaging import Pixels
from service.metrics.samples import Real

Arrays = Mapping[str, NDArray[Any]]

FILE = "exhibits.npz"
"""As it was called in the first version, whose state directories go on being read."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Some samples of both sets on the two directions in which the sets vary most.

    real, generated: (n, 2) and (m, 2); shares: (2,) of the variance, one a direction
    """

    real: Real
    generated: Real
    shares: Real


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """How often the extractor sees each class. labels: (classes,) of text; real, generated: (classes,) shares."""

    labels: NDArray[np.str_]
    real: Real
    generated: Real


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The generated samples that lie nearest to real ones, the nearest first.

    generated: (k, H, W, C); real: (k, H, W, C), or none of them where the reference keeps no images; distances: (k,)
    spacing: (2,) the median of that distance over all generated samples, and from real samples to the nearest other
    searched: (2,) generated and real samples that were compared
    """

    generated: Pixels
    real: Pixels
    distances: Real
    spacing: Real
    searched: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Typicality:
    """The generated samples nearest to and farthest from their fifth nearest real sample.

    most, least: (k, H, W, C), the extreme first; distances: (2, k)
    """

    most: Pixels
    least: Pixels
    distances: Real


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """FID of random parts of the generated set. sizes: (s,); values: (s, repeats), NaN where there are fewer."""

    sizes: NDArray[np.int64]
    values: Real


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Whatever of these the two sides allow."""

    projection: Projection | None = None
    classes: Classes | None = None
    pairs: Pairs | None = None
    typicality: Typicality | None = None
    curve: Curve | None = None


KINDS: dict[str, type[Projection | Classes | Pairs | Typicality | Curve]] = {
    "projection": Projection,
    "classes": Classes,
    "pairs": Pairs,
    "typicality": Typicality,
    "curve": Curve,
}


def pack(figures: Figures) -> bytes:
    """The figures as a compressed npz, one array `<figure>.<field>` each."""
    arrays = {
        f"{name}.{field.name}": getattr(figure, field.name)
        for name, kind in KINDS.items()
        if (figure := getattr(figures, name)) is not None
        for field in fields(kind)
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def unpack(data: bytes) -> Figures | None:
    """The figures of a file; None where it is damaged. Nothing is unpickled."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Figures(**{name: _figure(name, arrays) for name in KINDS})
    except (OSError, EOFError, ValueError, BadZipFile):
        return None


def _figure(name: str, arrays: Arrays) -> Any:
    names = [field.name for field in fields(KINDS[name])]
    if any(f"{name}.{field}" not in arrays for field in names):
        return None
    return KINDS[name](**{field: arrays[f"{name}.{field}"] for field in names})
