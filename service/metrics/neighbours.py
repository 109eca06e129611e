"""Who lies nearest to whom: the one computation behind 1-NN, precision, recall, density, coverage and memorisation.

Both sets are reduced to their distinct rows first, so that copies cost nothing and lie at distance 0 of each other
exactly. Every comparison that decides something is made on exact squared distances.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics.distances import Distinct, Index, distinct, exact_squares
from service.metrics.metric import Side
from service.metrics.samples import Real, check_pair
from service.metrics.screening import Pairs, Screens, Shortlist, screens_of, spacing_of


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
    rows = points.rows
    several = min(k + 1, len(rows) - 1)
    if several == 0:
        order, nearest = np.empty((1, 0), np.intp), Nearest(np.full(1, np.inf), *np.empty((2, 0), np.intp))
    else:
        screens = screens_of(rows, rows, spacing_of(rows, k))
        shortlist = Shortlist(len(rows), several, screens.margin)
        for tile in screens.among():
            shortlist.add(tile)
            if tile.i != tile.j:
                shortlist.add(tile.turned)
        pairs = _in_exact_order(shortlist.pairs(), screens)
        order = pairs.to[_starts(pairs)[:, None] + np.arange(several)]
        nearest = _nearest(pairs, screens)
    radii, wider = (_squares_to(points, order, wanted) for wanted in (k, k + 1))
    return Within(points, nearest, order, radii, wider)


def _in_exact_order(pairs: Pairs, screens: Screens) -> Pairs:
    """By row, the nearest first, without an error: whatever lies within rounding of another pair is computed again."""
    following = (pairs.of[1:] == pairs.of[:-1]) & (np.diff(pairs.squares) <= 2 * screens.margin)
    unsure = np.append(following, False) | np.append(False, following)
    squares = pairs.squares.astype(np.float64)
    squares[unsure] = screens.exact(pairs[unsure])
    return Pairs(pairs.of, pairs.to, squares).in_order()


def _nearest(pairs: Pairs, screens: Screens) -> Nearest:
    """The nearest of pairs that are in order, one or more for every row, without an error."""
    first = _starts(pairs)
    near = pairs[pairs.squares <= pairs.squares[first][pairs.of] + 2 * screens.margin]
    exact = Pairs(near.of, near.to, exact_squares(screens.x.rows, screens.y.rows, near.of, near.to)).in_order()
    least: Real = exact.squares[_starts(exact)].astype(np.float64)
    tied = exact[exact.squares == least[exact.of]]
    return Nearest(least, tied.of, tied.to)


def _starts(pairs: Pairs) -> Index:
    """Where the pairs of each row begin."""
    return np.nonzero(np.diff(pairs.of, prepend=-1))[0]


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
    spacing = min(float(np.median(real.radii)), float(np.median(generated.radii)))
    screens = screens_of(x.rows, y.rows, spacing)
    to_generated = Shortlist(len(x.rows), 1, screens.margin)
    to_real = Shortlist(len(y.rows), 1, screens.margin)
    in_real, in_generated, holding = (_Tally(n) for n in (len(y.rows), len(x.rows), len(x.rows)))
    widened = np.zeros(len(x.rows))
    reach, reach_of_generated = (some * screens.area + screens.margin for some in (real.wider, generated.radii))
    for tile in screens.across():
        # what is near enough for anything is looked for once from either side
        near = tile.within(np.maximum(to_generated.bounds_with(tile), reach[tile.rows]))
        to_generated.take(near)
        wider = near[_inside(near, real.wider, screens)]
        widened += np.bincount(wider.of, weights=y.counts[wider.to], minlength=len(widened))
        inside = wider[_inside(wider, real.radii, screens)]
        in_real.add(inside.to, inside.of, x.counts)
        holding.add(inside.of, inside.to, y.counts)
        bounds = to_real.bounds_with(tile.turned)
        near = tile.turned.within(np.maximum(bounds, reach_of_generated[tile.turned.rows]))
        to_real.take(near)
        turned = Pairs(near.to, near.of, near.squares)
        inside = turned[_inside(turned, generated.radii, screens, of_second=True)]
        in_generated.add(inside.of, inside.to, y.counts)
    held = holding.covered()
    return Neighbourhood(
        k=k,
        real=real,
        generated=generated,
        to_generated=_nearest(to_generated.pairs(), screens),
        to_real=_nearest(to_real.pairs(), screens.turned),
        in_real_balls=in_real.covered(),
        in_generated_balls=in_generated.covered(),
        holding=held,
        in_shells=widened - held.balls,
    )


def _inside(pairs: Pairs, radii: Real, screens: Screens, *, of_second: bool = False) -> NDArray[np.bool_]:
    """Which pairs lie strictly inside the ball about the first, or the second, of them."""
    reach = radii[pairs.to if of_second else pairs.of] * screens.area
    inside: NDArray[np.bool_] = pairs.squares < reach - screens.margin
    unsure = np.nonzero(~inside & (pairs.squares < reach + screens.margin))[0]
    inside[unsure] = screens.exact(pairs[unsure]) < reach[unsure]
    return inside


class _Tally:
    """Counts the balls about samples, and remembers the only one."""

    def __init__(self, count: int) -> None:
        self._balls = np.zeros(count)
        self._sum = np.zeros(count)  # of the balls' positions: the position itself where there is one ball

    def add(self, samples: Index, balls: Index, counts: Index) -> None:
        """Count samples that lie in balls, of which there are so many copies each."""
        self._balls += np.bincount(samples, weights=counts[balls], minlength=len(self._balls))
        self._sum += np.bincount(samples, weights=balls, minlength=len(self._balls))

    def covered(self) -> Covered:
        return Covered(self._balls, np.where(self._balls == 1, self._sum, -1).astype(np.intp))
