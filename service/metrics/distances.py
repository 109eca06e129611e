"""Euclidean distances in tiles, with the digits that ties and copies need.

‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b runs at the speed of a matrix product and is wrong by rounding; whatever decides
something, the nearest neighbour or the edge of a ball, is computed again as Σ (a − b)², which is equal for equal pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics.samples import Real, Rows

TILE_ROWS = 1024
PAIR_NUMBERS = 1 << 20  # numbers of pairs that are computed exactly at once: 8 MB
EPS = float(np.finfo(np.float64).eps)
EPS_SINGLE = float(np.finfo(np.float32).eps)
CLOSE = 1e-4  # share of ‖a‖² + ‖b‖² below which a squared distance has lost too many digits

Index = NDArray[np.intp]


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
    seen: dict[bytes, int] = {}
    # −0 becomes 0, so that equal rows have equal bytes
    of_sample = np.array([seen.setdefault((row + 0).tobytes(), len(seen)) for row in rows], np.intp)
    if len(seen) == len(rows):
        return Distinct(rows, np.ones(len(rows), np.intp), of_sample)
    _, first = np.unique(of_sample, return_index=True)
    return Distinct(rows[first], np.bincount(of_sample), of_sample)


def centre_of(rows: Rows) -> Real:
    """The mean row (d,)."""
    centre: Real = rows.mean(axis=0, dtype=np.float64)
    return centre


def tiles(rows: Rows, centre: Real, start: int = 0, *, single: bool = False) -> Iterator[tuple[int, Real]]:
    """Blocks of rows, centred in float64: an offset that all rows share would cost the distances their digits."""
    for first in range(start, len(rows), TILE_ROWS):
        tile = rows[first : first + TILE_ROWS].astype(np.float64)
        tile -= centre
        yield first, tile.astype(np.float32) if single else tile


def squared_distances(a: Real, b: Real) -> Real:
    """‖a − b‖² of all pairs of rows (p, d) and (q, d), to within `rounding` of each."""
    squares = a @ b.T
    squares *= -2
    squares += _norms(a)[:, None]
    squares += _norms(b)
    return np.maximum(squares, 0.0, out=squares)


def rounding(a: Rows, b: Rows, centre: Real, *, single: bool = False) -> float:
    """What a squared distance between rows of the two sets about this centre may be wrong by."""
    largest = sum(max(float(_norms(tile).max()) for _, tile in tiles(rows, centre)) for rows in (a, b))
    return 4 * (EPS_SINGLE if single else EPS) * float(np.sqrt(a.shape[1] + 8)) * largest


def exact_squares(a: Rows, b: Rows, i: Index, j: Index) -> Real:
    """Σ (a_i − b_j)² of these pairs: the same bits for the same two rows, whichever comes first."""
    squares = np.empty(len(i))
    step = max(1, PAIR_NUMBERS // a.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        steps = a[i[part]].astype(np.float64)
        steps -= b[j[part]]
        squares[part] = _norms(steps)
    return squares


def distances(a: Rows, b: Rows) -> Real:
    """Euclidean distances (n, m) of all pairs, with full relative accuracy also where they are small."""
    x, y = distinct(a), distinct(b)
    centre = (centre_of(x.rows) + centre_of(y.rows)) / 2
    xc, yc = x.rows - centre, y.rows - centre
    squares = squared_distances(xc, yc)
    scale = _norms(xc)[:, None] + _norms(yc)
    i, j = np.nonzero(squares < CLOSE * scale)
    squares[i, j] = exact_squares(x.rows, y.rows, i, j)
    np.sqrt(squares, out=squares)
    if len(x.rows) == x.total and len(y.rows) == y.total:
        return squares
    every: Real = squares[x.of_sample][:, y.of_sample]
    return every


def _norms(rows: Real) -> Real:
    """‖row‖² of each, without a second array of that size."""
    norms: Real = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return norms
