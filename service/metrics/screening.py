"""Which pairs of rows can decide something: squared distances in single precision, with a bound on what it costs.

Single precision runs at twice the speed of double and takes half the memory. It only ever rules pairs out: whoever is
left is compared by exact squared distances, so that no score depends on it, on the tiles or on the order of the rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics import distances
from service.metrics.distances import (
    Floats,
    FloatType,
    Index,
    Room,
    centre_of,
    exact_squares,
    few_rows,
    norms_about,
    squared_distances,
)
from service.metrics.placement import Card, Move, ask_card
from service.metrics.samples import Real, Rows

FAR = 300  # roundings of single precision that a distance to a neighbour has to have
PROBES = 16  # rows of a set whose neighbours tell how far that is
LINE = 16  # numbers of single precision in a line of the cache
SMALL, LARGE = 1e-8, 1e8  # squared norms that single precision takes as they are


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """Rows (p, d), moved by a centre that others share and scaled to where no square under- or overflows."""

    rows: Rows
    centre: Real
    scale: float
    kind: FloatType
    norms: Floats
    """(p,): ‖row‖² once moved and scaled."""

    def tile(self, first: int, room: Room, *, beside: int = 0) -> Floats:
        """The moved and scaled rows from this one on, as many as a tile has, in the room's one place.

        Beside them there are columns that nobody has written to.
        """
        rows = self.rows[first : first + distances.TILE_ROWS]
        d = rows.shape[1]
        # each row begins where a line of the cache does
        wide: Floats = room.of((len(rows), -(-(d + beside) // LINE) * LINE), self.kind)[:, : d + beside]
        tile = wide[:, :d]
        if self.scale == 1 and rows.dtype == self.kind:
            np.subtract(rows, self.centre.astype(self.kind), out=tile)
        else:
            moved = rows.astype(np.float64)
            moved -= self.centre
            moved *= self.scale
            tile[...] = moved
        return wide

    def left(self, first: int, room: Room) -> Floats:
        """−2 a, ‖a‖² and 1 of a tile's rows: its product with `right` of another is ‖a − b‖², and no sum is left over.

        What is doubled keeps its digits, and the norms come last, so that rounding is that of a product and two sums.
        """
        tile = self.tile(first, room, beside=2)
        tile[:, :-2] *= -2
        tile[:, -2], tile[:, -1] = self.norms[first : first + len(tile)], 1
        return tile

    def right(self, first: int, room: Room) -> Floats:
        """The same rows as b, 1 and ‖b‖²."""
        tile = self.tile(first, room, beside=2)
        tile[:, -2], tile[:, -1] = 1, self.norms[first : first + len(tile)]
        return tile

    def starts(self, first: int = 0) -> range:
        """Where the tiles from this row on begin."""
        return range(first, len(self.rows), distances.TILE_ROWS)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of rows, and their squared distances."""

    of: Index
    to: Index
    squares: Floats

    def __getitem__(self, chosen: NDArray[np.bool_] | Index) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.of[chosen], self.to[chosen], self.squares[chosen])

    def by_row(self) -> "Pairs":
        """By row, the nearest first, and in any order those that are equally far."""
        if self.squares.dtype != np.float32:
            return self.in_order()
        bits = self.squares.view(np.int32)
        bits = bits ^ ((bits >> 31) & np.int32(2**31 - 1))  # as integers they have the order of the numbers
        return self[np.argsort((self.of << 32) + bits)]  # one key is sorted in a tenth of the time of two

    def in_order(self) -> "Pairs":
        """By row, the nearest first, and of two that are equally far the earlier one."""
        return self[np.lexsort((self.to, self.squares, self.of))]


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """Squared distances (rows, columns), wrong by a margin at most, of the rows from `i` to the others from `j` on."""

    i: int
    j: int
    squares: Floats

    @property
    def turned(self) -> "Tile":
        """The same pairs, seen from the columns."""
        return Tile(self.j, self.i, self.squares.T)

    @property
    def rows(self) -> slice:
        """The tile's rows in their set."""
        return slice(self.i, self.i + len(self.squares))

    def within(self, bounds: Floats) -> Pairs:
        """The pairs that are no further apart than their row's bound (rows,)."""
        bounds = bounds.astype(self.squares.dtype)
        if self.squares.flags.c_contiguous:
            i, j = _places(self.squares <= bounds[:, None])
        else:  # a tile that is turned, whose memory is read as it lies
            j, i = _places(bounds >= self.squares.T)
        return Pairs(i + self.i, j + self.j, self.squares[i, j])


@dataclass(frozen=True, slots=True, eq=False)
class Screens:
    """Two sets, or one twice, and what a squared distance between them may be wrong by."""

    x: Screen
    y: Screen
    margin: float

    @property
    def area(self) -> float:
        """What a squared distance between the rows themselves is multiplied by."""
        return self.x.scale**2

    @property
    def turned(self) -> "Screens":
        """The two the other way about."""
        return Screens(self.y, self.x, self.margin)

    def across(self) -> Iterator[Tile]:
        """All pairs of the two sets; each tile lies where the one before lay."""
        tiles = _Tiles(self.x, self.y)
        for i in self.x.starts():
            for j in self.y.starts():
                yield tiles.at(i, j)

    def among(self) -> Iterator[Tile]:
        """All pairs of one set, once each, those within blocks of rows first; a row is infinitely far from itself."""
        tiles = _Tiles(self.x, self.x)
        for i in self.x.starts():
            tile = tiles.at(i, i)
            np.fill_diagonal(tile.squares, np.inf)
            yield tile
        for i in self.x.starts():
            for j in self.x.starts(i + distances.TILE_ROWS):
                yield tiles.at(i, j)

    def exact(self, pairs: Pairs) -> Real:
        """The pairs' squared distances, scaled like the others."""
        squares = exact_squares(self.x.rows, self.y.rows, pairs.of, pairs.to)
        squares *= self.area
        return squares


class _Tiles:
    """The tiles of two sets, each where the one before lay; on a card where there is one."""

    def __init__(self, x: Screen, y: Screen) -> None:
        self._x, self._y = x, y
        self._room, self._of_x, self._of_y = Room(), Room(), Room()
        self._first: int | None = None
        self._left: Floats = np.empty(0)
        self._work = len(x.rows) * len(y.rows) * x.rows.shape[1]

    def at(self, i: int, j: int) -> Tile:
        """Of the rows from `i` on and the others from `j` on."""
        squares = self._on_card(i, j)
        if squares is None and not (self._x is self._y and i == j):
            return Tile(i, j, self._here(i, j))
        if squares is None:
            squares = self._own(i)
        squares *= -2
        squares += self._x.norms[i : i + len(squares), None]
        squares += self._y.norms[j : j + squares.shape[1]]
        return Tile(i, j, squares)

    def _on_card(self, i: int, j: int) -> Floats | None:
        parts = slice(i, i + distances.TILE_ROWS), slice(j, j + distances.TILE_ROWS)
        x, y = self._x, self._y

        def multiply(card: Card) -> Floats:
            out = self._room.of((len(x.rows[parts[0]]), len(y.rows[parts[1]])), x.kind)
            return card.multiply(x.rows, y.rows, parts, Move(x.centre, x.scale), out)

        return ask_card(self._work, multiply)

    def _own(self, i: int) -> Floats:
        """Products of a tile with itself, which numpy computes in half the time."""
        a, self._first = self._x.tile(i, self._of_x), None
        products: Floats = np.matmul(a, a.T, out=self._room.of((len(a), len(a)), self._x.kind))
        return products

    def _here(self, i: int, j: int) -> Floats:
        if self._first != i:
            self._first, self._left = i, self._x.left(i, self._of_x)
        a, b = self._left, self._y.right(j, self._of_y)
        squares: Floats = np.matmul(a, b.T, out=self._room.of((len(a), len(b)), self._x.kind))
        return squares


def screens_of(x: Rows, y: Rows, spacing: float) -> Screens:
    """Screens of two sets, or of one given twice, whose neighbours typically lie at this squared distance.

    In single precision, unless they lie too close together for it.
    """
    both = (x,) if x is y else (x, y)
    centre: Real = np.mean([centre_of(rows) for rows in both], axis=0)
    if float(np.abs(centre).max()) < LARGE:
        centre = centre.astype(np.float32).astype(np.float64)  # the same move for rows of either precision
    norms = [norms_about(rows, centre) for rows in both]
    largest = max(float(of_set.max()) for of_set in norms)
    # a power of two changes no digit
    scale = 1.0 if SMALL < largest < LARGE or largest == 0 else 2.0 ** -round(np.log2(largest) / 2)
    margin = rounding(2 * largest, x.shape[1], np.float32)
    kind: FloatType = np.float32
    if spacing <= FAR * margin:
        kind, margin = np.float64, rounding(2 * largest, x.shape[1], np.float64)
    screens = [
        Screen(rows, centre, scale, kind, (of_set * scale**2).astype(kind))
        for rows, of_set in zip(both, norms, strict=True)
    ]
    return Screens(screens[0], screens[-1], margin * scale**2)


def rounding(largest: float, dimensions: int, kind: FloatType) -> float:
    """What a squared distance may be wrong by between rows whose ‖a‖² + ‖b‖² is at most this."""
    return 4 * float(np.finfo(kind).eps) * float(np.sqrt(dimensions + 8)) * largest


def spacing_of(rows: Rows, k: int) -> float:
    """The median squared distance of a few rows to their k-th neighbour."""
    centre = centre_of(rows)
    probed = np.unique(np.linspace(0, len(rows) - 1, PROBES).astype(np.intp))
    probes = rows[probed].astype(np.float64) - centre
    squares = np.hstack([squared_distances(probes, few) for _, few in few_rows(rows, centre)])
    squares[np.arange(len(probed)), probed] = 0.0
    # the first of them is the row itself
    return float(np.median(np.partition(squares, min(k, len(rows) - 1), axis=1)[:, min(k, len(rows) - 1)]))


def _places(mask: NDArray[np.bool_]) -> tuple[Index, Index]:
    """Where a contiguous mask (p, q) is true, row by row: several times as fast as `np.nonzero` on two axes."""
    i, j = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return i, j


class Shortlist:
    """Pairs that may be among the few nearest of each row, whatever rounding did."""

    def __init__(self, count: int, several: int, margin: float) -> None:
        self._several = several
        self._margin = margin
        self._bounds: Real = np.full(count, np.inf)
        self._kept = Pairs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))
        self._waiting: list[Pairs] = []
        self._room = 0

    def add(self, tile: Tile) -> None:
        """Look at a tile."""
        self.take(tile.within(self.bounds_with(tile)))

    def bounds_with(self, tile: Tile) -> Real:
        """How far (rows,) the few of a tile's rows may be, now that this tile is known."""
        bounds = self._bounds[tile.rows]
        columns = tile.squares.shape[1]
        if self._several == 1:
            np.minimum(bounds, tile.squares.min(axis=1) + 2 * self._margin, out=bounds)
        elif columns >= self._several and np.isinf(bounds).any():
            few = np.partition(tile.squares, self._several - 1, axis=1)[:, self._several - 1]
            np.minimum(bounds, few + 2 * self._margin, out=bounds)
        return bounds

    def take(self, found: Pairs) -> None:
        """Look at pairs: all of a tile within its bounds, or more."""
        found = found[found.squares <= self._bounds[found.of].astype(found.squares.dtype)]
        self._waiting.append(found[np.isfinite(found.squares)])
        self._room -= len(found.of)
        if self._room < 0:
            self._shorten()

    def pairs(self) -> Pairs:
        """By row, the nearest first: those within twice the margin of the last of the few."""
        self._shorten()
        return Pairs(self._kept.of, self._kept.to, self._kept.squares.astype(np.float64))

    def _shorten(self) -> None:
        parts = [self._kept, *self._waiting]
        pairs = Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("of", "to", "squares")))
        pairs = pairs.by_row()
        rank = np.arange(len(pairs.of)) - np.searchsorted(pairs.of, pairs.of)
        last = rank == self._several - 1
        reach = pairs.squares[last].astype(np.float64) + 2 * self._margin
        self._bounds[pairs.of[last]] = np.minimum(self._bounds[pairs.of[last]], reach)
        self._kept = pairs[pairs.squares <= self._bounds[pairs.of]]
        self._waiting = []
        self._room = 2 * len(self._kept.of) + len(self._bounds)
