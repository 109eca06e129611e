"""A set's rows about a centre that another set shares, and what is known of each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from service.metrics import distances
from service.metrics.distances import FEW_ROWS, Floats, FloatType, Index, Room, centre_of, few_rows, norms_of, tiles
from service.metrics.samples import Real, Rows


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
        products = [np.empty(len(self.rows)) for _ in others]
        for part, moved in few_rows(self.rows, self.centre):
            for found, other in zip(products, others, strict=True):
                np.matmul(moved, other, out=found[part])
        return products

    def moved(self, chosen: Index, out: Floats) -> "Centred":
        """Some of the rows, known as they are once moved, which is written into an array of their size."""
        kind = self._kind_of_move(out)
        centre = self.centre.astype(kind)
        for first in range(0, len(chosen), FEW_ROWS):
            part = slice(first, first + FEW_ROWS)
            rows = self.rows.take(chosen[part], axis=0, out=out[part] if kind == self.rows.dtype else None, mode="clip")
            np.subtract(rows, centre, out=out[part], dtype=kind, casting="same_kind")
        return Centred(out, self.centre, self.norms[chosen], self.along[chosen])

    def _kind_of_move(self, out: Floats) -> np.dtype[Any]:
        # the difference of two numbers of single precision is rounded once, however it is computed
        return out.dtype if self.rows.dtype == out.dtype else np.dtype(np.float64)

    def move(self, out: Floats, part: slice) -> None:
        """Write these of the moved rows into an array of their size, in its precision."""
        np.subtract(self.rows[part], self.centre, out=out, dtype=self._kind_of_move(out), casting="same_kind")

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
    for part, moved in few_rows(rows, centre):
        norms[part] = norms_of(moved)
        np.matmul(moved, centre, out=along[part])
    return Centred(rows, centre, norms, along)
