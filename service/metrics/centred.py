"""A set's rows about a centre that another set shares, and what is known of each of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.metrics import distances
from service.metrics.distances import Floats, FloatType, Index, Room, centre_of, norms_of, tiles
from service.metrics.samples import Real, Rows


@dataclass(frozen=True, slots=True, eq=False)
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

    @property
    def sum(self) -> Real:
        """The sum (d,) of the moved rows."""
        total: Real = self.rows.sum(axis=0, dtype=np.float64)
        return total - len(self.rows) * self.centre

    def products_with(self, other: Real) -> Real:
        """The moved rows' products (n,) with one (d,)."""
        return np.concatenate([tile @ other for _, tile in tiles(self.rows, self.centre)])

    def tiles(self, kind: FloatType, start: int = 0) -> Iterator[tuple[int, Floats]]:
        """Blocks of the moved rows from this one on, and where they begin; each lies where the one before lay."""
        if kind is np.float64:
            yield from tiles(self.rows, self.centre, start)
            return
        room, exact = Room(), self.rows.dtype == kind
        for first in range(start, len(self.rows), distances.TILE_ROWS):
            block = self.rows[first : first + distances.TILE_ROWS]
            tile = room.of(block.shape, kind)
            # the difference of two numbers of single precision is rounded once, however it is computed
            np.subtract(block, self.centre, out=tile, dtype=kind if exact else np.float64, casting="same_kind")
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
