"""A set's rows about a centre that another set shares, and what is known of each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.metrics import distances
from service.metrics.distances import Floats, FloatType, Index, Room, centre_of, norms_of, tiles
from service.metrics.samples import Real, Rows

EVERY = slice(None)
FEW_ROWS = 32
"""Rows that a core's own cache holds in double precision."""


@dataclass(frozen=True, eq=False)
class Centred:
    """Rows (n, d), to be moved by a centre (d,)."""

    rows: Rows
    centre: Real
    norms: Real
    """(n,): ‖x‖² of the moved rows."""
    along: Real
    """(n,): their product with the centre."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Index) -> "Centred":
        """Some of the rows, about the same centre."""
        return Centred(self.rows[chosen], self.centre, self.norms[chosen], self.along[chosen])

    @cached_property
    def sum(self) -> Real:
        """The sum (d,) of the moved rows."""
        total: Real = self.rows.sum(axis=0, dtype=np.float64)
        return total - len(self.rows) * self.centre

    def products_with(self, *others: Real) -> list[Real]:
        """The moved rows' products (n,) with each of these (d,)."""
        products, few = [np.empty(len(self.rows)) for _ in others], np.empty((FEW_ROWS, len(self.centre)))
        for first in range(0, len(self.rows), FEW_ROWS):
            part = slice(first, first + FEW_ROWS)
            moved = few[: len(self.rows) - first]
            moved[...] = self.rows[part]
            moved -= self.centre
            for found, other in zip(products, others, strict=True):
                np.matmul(moved, other, out=found[part])
        return products

    def move(self, out: Floats, part: slice = EVERY) -> None:
        """Write these of the moved rows into an array of their size, in its precision."""
        # the difference of two numbers of single precision is rounded once, however it is computed
        kind = out.dtype if self.rows.dtype == out.dtype else np.dtype(np.float64)
        np.subtract(self.rows[part], self.centre, out=out, dtype=kind, casting="same_kind")

    def tiles(self, kind: FloatType, start: int = 0) -> Iterator[tuple[int, Floats]]:
        """Blocks of the moved rows from this one on, and where they begin; each lies where the one before lay."""
        if kind is np.float64:
            yield from tiles(self.rows, self.centre, start)
            return
        room = Room()
        for first in range(start, len(self.rows), distances.TILE_ROWS):
            part = slice(first, first + distances.TILE_ROWS)
            tile = room.of(self.rows[part].shape, kind)
            self.move(tile, part)
            yield first, tile


def centred(*sets: Rows) -> tuple[Centred, ...]:
    """The sets about the mean of their centres."""
    centre: Real = np.mean([centre_of(rows) for rows in sets], axis=0)
    if all(rows.dtype == np.float32 for rows in sets):
        centre = centre.astype(np.float32).astype(np.float64)  # the same move in either precision
    return tuple(_about(rows, centre) for rows in sets)


def _about(rows: Rows, centre: Real) -> Centred:
    norms, along = np.empty(len(rows)), np.empty(len(rows))
    for first, tile in tiles(rows, centre):
        part = slice(first, first + len(tile))
        norms[part], along[part] = norms_of(tile), tile @ centre
    return Centred(rows, centre, norms, along)
