"""Who lies nearest to whom: the one computation behind 1-NN, precision, recall, density, coverage and memorisation.

Both sets are reduced to their distinct rows first, so that copies cost nothing and lie at distance 0 of each other
exactly. Every comparison that decides something is made on exact squared distances.
"""

from dataclasses import dataclass

import numpy as np

from service.metrics.distances import (
    Distinct,
    Index,
    centre_of,
    distinct,
    exact_squares,
    rounding,
    squared_distances,
    tiles,
)
from service.metrics.metric import Side
from service.metrics.samples import Real, Rows, check_pair

FAR = 300  # roundings of single precision that a ball's radius has to have


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The squared distance (p,) to the nearest row, and all pairs `of`, `to` that reach it, in order."""

    squares: Real
    of: Index
    to: Index

    def first(self) -> Index:
        """For each row the first of its nearest; −1 for a row that has none."""
        chosen = np.full(len(self.squares), -1, np.intp)
        chosen[self.of[::-1]] = self.to[::-1]
        return chosen

    def weighted(self, weights: Real | Index) -> Real:
        """For each row the sum of the weights (q,) of its nearest."""
        weighed = weights[self.to].astype(np.float64)
        return np.bincount(self.of, weights=weighed, minlength=len(self.squares)).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """One set among itself. A sample's copies are neighbours at distance 0; the sample itself is none."""

    points: Distinct
    nearest: Nearest
    order: Index
    """(p, ≤ k + 1): the nearest other distinct rows."""
    radii: Real
    """(p,): squared distance to the k-th neighbour."""
    wider: Real
    """(p,): squared distance to the neighbour after it; infinite where there is none."""

    @property
    def alone(self) -> Real:
        """(p,): squared distance to the nearest other sample, 0 for one that has a copy."""
        return np.where(self.points.counts > 1, 0.0, self.nearest.squares)


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """How the balls of one set cover the samples of the other."""

    balls: Real
    """(q,): balls about each distinct sample, copies counted."""
    sole: Index
    """(q,): the only ball, where there is one; else −1."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """Two sets among each other; a ball is open and reaches to its centre's k-th neighbour."""

    k: int
    real: Within
    generated: Within
    to_generated: Nearest
    """Of each distinct real row its nearest generated ones."""
    to_real: Nearest
    in_real_balls: Covered
    """The generated samples."""
    in_generated_balls: Covered
    """The real samples."""
    holding: Covered
    """The real samples again, by the generated ones that lie in their own balls."""
    in_shells: Real
    """(p,): generated samples that a real ball would gain if it reached one neighbour further."""


def neighbourhood(real: Side, generated: Side, k: int) -> Neighbourhood:
    """The neighbourhood of two sides, computed once for all metrics that ask. Raises InvalidSamples."""
    return generated.remember(("neighbourhood", real, k), lambda: _neighbourhood(real, generated, k))


def _neighbourhood(real: Side, generated: Side, k: int) -> Neighbourhood:
    assert real.features is not None, "lacks() is asked first"
    assert generated.features is not None, "lacks() is asked first"
    check_pair(real.features, generated.features)
    features = (real.features, generated.features)
    within = [
        side.remember(("within", k), lambda rows=rows: _within(distinct(rows), k))  # type: ignore[misc]
        for side, rows in zip((real, generated), features, strict=True)
    ]
    return _across(within[0], within[1], k)


def _within(points: Distinct, k: int) -> Within:
    rows, centre = points.rows, centre_of(points.rows)
    margin = rounding(rows, rows, centre)
    nearest = _NearestSoFar(len(rows), margin)
    several = _SeveralSoFar(len(rows), min(k + 1, len(rows) - 1))
    for i, a in tiles(rows, centre):
        for j, b in tiles(rows, centre, start=i):
            squares = squared_distances(a, b)
            if i == j:
                np.fill_diagonal(squares, np.inf)
            nearest.update(i, j, squares)
            several.update(i, j, squares)
            if i != j:
                nearest.update(j, i, squares.T)
                several.update(j, i, squares.T)
    order = several.order()
    radii, wider = (_squares_to(points, order, wanted) for wanted in (k, k + 1))
    return Within(points, nearest.exact(rows, rows), order, radii, wider)


def _squares_to(points: Distinct, order: Index, wanted: int) -> Real:
    """Squared distance of each distinct row to its neighbour of this number, copies counted; infinite without one."""
    copies = points.counts - 1
    reached = copies[:, None] + np.cumsum(points.counts[order], axis=1) >= wanted
    squares = np.where(copies >= wanted, 0.0, np.inf)
    found = np.nonzero((copies < wanted) & reached.any(axis=1))[0]
    neighbour = order[found, reached[found].argmax(axis=1)] if len(found) else found
    squares[found] = exact_squares(points.rows, points.rows, found, neighbour)
    return squares


def _across(real: Within, generated: Within, k: int) -> Neighbourhood:
    x, y = real.points, generated.points
    centre = (centre_of(x.rows) + centre_of(y.rows)) / 2
    single = _single_is_enough(real, generated, centre)
    margin = rounding(x.rows, y.rows, centre, single=single)
    to_generated, to_real = _NearestSoFar(len(x.rows), margin), _NearestSoFar(len(y.rows), margin)
    in_real, in_generated, holding = (_Tally(n) for n in (len(y.rows), len(x.rows), len(x.rows)))
    widened = np.zeros(len(x.rows))
    for i, a in tiles(x.rows, centre, single=single):
        for j, b in tiles(y.rows, centre, single=single):
            squares = squared_distances(a, b)
            u, v = slice(i, i + len(a)), slice(j, j + len(b))
            to_generated.update(i, j, squares)
            to_real.update(j, i, squares.T)
            edge = _Edge(x.rows, y.rows, i, j, squares, margin)
            inside = edge.below(real.radii[u][:, None])
            in_real.add(v, inside.T, x.counts[u], i)
            holding.add(u, inside, y.counts[v], j)
            in_generated.add(u, edge.below(generated.radii[v]), y.counts[v], j)
            widened[u] += edge.below(real.wider[u][:, None]) @ y.counts[v].astype(a.dtype)
    held = holding.covered()
    return Neighbourhood(
        k=k,
        real=real,
        generated=generated,
        to_generated=to_generated.exact(x.rows, y.rows),
        to_real=to_real.exact(y.rows, x.rows),
        in_real_balls=in_real.covered(),
        in_generated_balls=in_generated.covered(),
        holding=held,
        in_shells=widened - held.balls,
    )


def _single_is_enough(real: Within, generated: Within, centre: Real) -> bool:
    """Whether single precision, at twice the speed, leaves few pairs that have to be computed again exactly."""
    x, y = real.points.rows, generated.points.rows
    if not {x.dtype, y.dtype} <= {np.dtype(np.float16), np.dtype(np.float32)}:
        return False
    radius = min(float(np.median(real.radii)), float(np.median(generated.radii)))
    return radius > FAR * rounding(x, y, centre, single=True)


class _NearestSoFar:
    """Candidates for the nearest rows: whatever lay within rounding of the least distance when it was seen."""

    def __init__(self, count: int, margin: float) -> None:
        self._least = np.full(count, np.inf)
        self._margin = 2 * margin
        self._of: list[Index] = []
        self._to: list[Index] = []
        self._squares: list[Real] = []

    def update(self, first_row: int, first_column: int, squares: Real) -> None:
        least = self._least[first_row : first_row + len(squares)]
        np.minimum(least, squares.min(axis=1), out=least)
        i, j = np.nonzero(squares <= (least[:, None] + self._margin).astype(squares.dtype))
        found = squares[i, j]
        known = np.isfinite(found)
        self._of.append(i[known] + first_row)
        self._to.append(j[known] + first_column)
        self._squares.append(found[known])

    def exact(self, rows: Rows, others: Rows) -> Nearest:
        of, to, squares = (np.concatenate(parts) for parts in (self._of, self._to, self._squares))
        near = squares <= self._least[of] + self._margin
        of, to = of[near], to[near]
        squares = exact_squares(rows, others, of, to)
        least = np.full(len(rows), np.inf)
        np.minimum.at(least, of, squares)
        tied = squares == least[of]
        of, to = of[tied], to[tied]
        order = np.lexsort((to, of))
        return Nearest(least, of[order], to[order])


class _SeveralSoFar:
    """The few nearest rows of each."""

    def __init__(self, count: int, several: int) -> None:
        self._squares = np.full((count, several), np.inf)
        self._to = np.zeros((count, several), np.intp)
        self._several = several

    def update(self, first_row: int, first_column: int, squares: Real) -> None:
        if self._several == 0:
            return
        rows = slice(first_row, first_row + len(squares))
        closer = np.nonzero(squares.min(axis=1) < self._squares[rows].max(axis=1))[0]
        some = min(self._several, squares.shape[1])
        best = np.argpartition(squares[closer], some - 1, axis=1)[:, :some]
        both = np.hstack([self._squares[rows][closer], squares[closer[:, None], best]])
        to = np.hstack([self._to[rows][closer], best + first_column])
        kept = np.argpartition(both, self._several - 1, axis=1)[:, : self._several]
        self._squares[first_row + closer] = np.take_along_axis(both, kept, axis=1)
        self._to[first_row + closer] = np.take_along_axis(to, kept, axis=1)

    def order(self) -> Index:
        """The nearest first. Two that rounding exchanges are equally far, or as good as."""
        return np.take_along_axis(self._to, np.argsort(self._squares, axis=1, kind="stable"), axis=1)


class _Edge:
    """One tile of squared distances, compared exactly where rounding could decide."""

    def __init__(self, a: Rows, b: Rows, first_row: int, first_column: int, squares: Real, margin: float) -> None:
        self._a, self._b = a, b
        self._first_row, self._first_column = first_row, first_column
        self._squares, self._margin = squares, margin

    def below(self, radii: Real) -> Real:
        """1 where a pair lies strictly inside the radius, else 0."""
        inside = self._squares < (radii - self._margin).astype(self._squares.dtype)
        unsure = self._squares < (radii + self._margin).astype(self._squares.dtype)
        unsure ^= inside
        i, j = np.nonzero(unsure)
        if len(i):
            squares = exact_squares(self._a, self._b, i + self._first_row, j + self._first_column)
            inside[i, j] = squares < np.broadcast_to(radii, inside.shape)[i, j]
        return inside.astype(self._squares.dtype)


class _Tally:
    """Counts the balls about samples, and remembers the only one."""

    def __init__(self, count: int) -> None:
        self._balls = np.zeros(count)
        self._sum = np.zeros(count)  # of the balls' positions: the position itself where there is one ball

    def add(self, samples: slice, inside: Real, counts: Index, first_ball: int) -> None:
        """Count a tile: inside (samples, balls), and how many copies each ball has."""
        positions = np.arange(first_ball, first_ball + len(counts))
        found = inside @ np.stack([counts, positions], axis=1).astype(inside.dtype)
        self._balls[samples] += found[:, 0]
        self._sum[samples] += found[:, 1]

    def covered(self) -> Covered:
        return Covered(self._balls, np.where(self._balls == 1, self._sum, -1).astype(np.intp))
