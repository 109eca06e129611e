"""Euclidean distances with the digits that ties and copies need.

‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b runs at the speed of a matrix product and is wrong by rounding; whatever decides
something, the nearest neighbour or the edge of a ball, is computed again as Σ (a − b)², which is equal for equal pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metrics.samples import Real, Rows, take

TILE_ROWS = 768
PAIR_NUMBERS = 1 << 16  # numbers of pairs that are computed exactly at once: what a core's own cache holds
FEW_ROWS = 32  # that a core's own cache holds in double precision
HASHED_ROWS = 64
CLOSE = 1e-4  # share of ‖a‖² + ‖b‖² below which a squared distance has lost too many digits

Index = NDArray[np.intp]
Floats = NDArray[np.floating]
FloatType = type[np.float32] | type[np.float64]


class Room:
    """Memory for one array after the other: what is freed and asked for anew comes as empty pages, one fault each."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def of(self, shape: tuple[int, int], kind: type[np.floating]) -> NDArray[Any]:
        """An array, in the place of the one before."""
        size = shape[0] * shape[1] * np.dtype(kind).itemsize
        if size > len(self._bytes):
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size].view(kind).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """A set without its copies: rows (p, d), how often each occurs (p,), which of them each sample is (n,)."""

    rows: Rows
    counts: Index
    of_sample: Index

    @property
    def total(self) -> int:
        """Samples, copies counted."""
        return len(self.of_sample)


def distinct(rows: Rows) -> Distinct:
    """The distinct rows of a set, in the order in which they first occur."""
    if _surely_differ(rows):
        return Distinct(rows, np.ones(len(rows), np.intp), np.arange(len(rows)))
    seen: dict[bytes, int] = {}
    # −0 becomes 0, so that equal rows have equal bytes; of these a digest, which is shorter than the row
    digests = (sha256((row + 0).tobytes()).digest() for row in rows)
    of_sample = np.array([seen.setdefault(digest, len(seen)) for digest in digests], np.intp)
    if len(seen) == len(rows):
        return Distinct(rows, np.ones(len(rows), np.intp), of_sample)
    _, first = np.unique(of_sample, return_index=True)
    return Distinct(take(rows, first), np.bincount(of_sample), of_sample)


def _surely_differ(rows: Rows) -> bool:
    """Whether no two rows have the same sum of their bits, times odd numbers: a tenth of the time of digests."""
    factors = np.random.default_rng(0).integers(1 << 63, size=rows.shape[1], dtype=np.uint64) * 2 + 1
    sums = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), HASHED_ROWS):
        bits = (rows[start : start + HASHED_ROWS] + 0).astype(np.float64).view(np.uint64)
        bits *= factors
        bits.sum(axis=1, out=sums[start : start + HASHED_ROWS])
    return len(np.unique(sums)) == len(rows)


def centre_of(rows: Rows) -> Real:
    """The mean row (d,)."""
    centre: Real = rows.mean(axis=0, dtype=np.float64)
    return centre


def tiles(rows: Rows, centre: Real, start: int = 0) -> Iterator[tuple[int, Real]]:
    """Blocks of rows, centred in float64: an offset that all rows share would cost the distances their digits.

    Each lies where the one before lay.
    """
    room = Room()
    for first in range(start, len(rows), TILE_ROWS):
        block = rows[first : first + TILE_ROWS]
        tile = room.of(block.shape, np.float64)
        tile[...] = block
        tile -= centre
        yield first, tile


def few_rows(rows: Rows, centre: Real) -> Iterator[tuple[slice, Real]]:
    """The same, so few at a time that they stay in a core's own cache, and which they are."""
    room = np.empty((FEW_ROWS, len(centre)))
    for first in range(0, len(rows), FEW_ROWS):
        part, moved = slice(first, first + FEW_ROWS), room[: len(rows) - first]
        moved[...] = rows[part]
        moved -= centre
        yield part, moved


def norms_about(rows: Rows, centre: Real) -> Real:
    """‖row − centre‖² of each (n,)."""
    norms = np.empty(len(rows))
    for part, moved in few_rows(rows, centre):
        norms[part] = norms_of(moved)
    return norms


def squared_distances(a: Real, b: Real) -> Real:
    """‖a − b‖² of all pairs of rows (p, d) and (q, d)."""
    squares = a @ b.T
    squares *= -2
    squares += norms_of(a)[:, None]
    squares += norms_of(b)
    return np.maximum(squares, 0.0, out=squares)


def exact_squares(a: Rows, b: Rows, i: Index, j: Index) -> Real:
    """Σ (a_i − b_j)² of these pairs: the same bits for the same two rows, whichever comes first."""
    squares = np.empty(len(i))
    step = max(1, PAIR_NUMBERS // a.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        steps = a[i[part]].astype(np.float64)
        steps -= b[j[part]]
        squares[part] = norms_of(steps)
    return squares


def distances(a: Rows, b: Rows) -> Real:
    """Euclidean distances (n, m) of all pairs, with full relative accuracy also where they are small."""
    x, y = distinct(a), distinct(b)
    centre = (centre_of(x.rows) + centre_of(y.rows)) / 2
    xc, yc = x.rows - centre, y.rows - centre
    squares = squared_distances(xc, yc)
    scale = norms_of(xc)[:, None] + norms_of(yc)
    i, j = np.nonzero(squares < CLOSE * scale)
    squares[i, j] = exact_squares(x.rows, y.rows, i, j)
    np.sqrt(squares, out=squares)
    if len(x.rows) == x.total and len(y.rows) == y.total:
        return squares
    every: Real = squares[x.of_sample][:, y.of_sample]
    return every


def norms_of(rows: Rows) -> Real:
    """‖row‖² of each in float64, without a second array of that size."""
    norms: Real = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return norms
