"""Mean and covariance of features, streamed in float64 and the same however the rows arrive."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg.blas import dsyrk

from service.errors import InvalidSamples
from service.metrics.placement import ask_card
from service.metrics.samples import BLOCK_ROWS, Real, Rows, check_covariance, check_dimensions, check_features

MIRRORED = 64
"""Columns of a matrix that are mirrored at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Mean (d,) and covariance (d, d), divided by n − 1, of `count` rows; None where only the two are known."""

    mean: Real
    covariance: Real
    count: int | None = None

    @classmethod
    def given(cls, mean: Rows, covariance: Rows, whose: str, *, count: int | None = None) -> Self:
        """Statistics that somebody else computed, checked. Raises InvalidSamples."""
        mu, sigma = mean.astype(np.float64), covariance.astype(np.float64)
        check_covariance(mu, sigma, whose)
        return cls(mu, (sigma + sigma.T) / 2, count)


class Sums:
    """Rows seen, their mean (d,) and their scatter Σ (x − mean)(x − mean)ᵀ (d, d), of which the lower half counts.

    The scatter grows in its place: a chunk is added by the one product that it takes.
    """

    def __init__(self, dimensions: int) -> None:
        self.rows = 0
        self.mean: Real = np.zeros(dimensions)
        self.scatter: Real = np.zeros((dimensions, dimensions), order="F")

    def copy(self) -> "Sums":
        """The same sums, which go their own way."""
        other = Sums(0)
        other.rows, other.mean, other.scatter = self.rows, self.mean, self.scatter.copy(order="F")
        return other

    def add(self, chunk: Real, count: int) -> None:
        """Take the first `count` rows of a chunk (more than `count`, d), which is overwritten."""
        if not count:
            return
        rows, total = chunk[:count], self.rows + count
        mean = np.add.reduce(rows, axis=0) / count
        rows -= mean
        step = mean - self.mean
        # the step between the means as one more row: one product gives the chunk's scatter and the merge's correction
        np.multiply(step, np.sqrt(self.rows * count / total), out=chunk[count])
        self.scatter = dsyrk(1.0, chunk[: count + 1].T, beta=1.0, c=self.scatter, lower=1, overwrite_c=1)
        self.mean, self.rows = self.mean + step * (count / total), total

    def join(self, other: "Sums") -> None:
        """Take the rows of others."""
        if not other.rows:
            return
        total, step = self.rows + other.rows, other.mean - self.mean
        self.scatter += other.scatter
        self.scatter += (self.rows * other.rows / total) * np.outer(step, step)
        self.mean, self.rows = self.mean + step * (other.rows / total), total

    def statistics(self, whose: str) -> Statistics:
        """Of all rows so far. Raises InvalidSamples for fewer than two."""
        if self.rows < 2:
            raise InvalidSamples(f"The {whose} set has {self.rows} sample(s); at least 2 are needed.")
        return Statistics(self.mean, _mirrored(self.scatter / (self.rows - 1)), self.rows)


class Moments:
    """Streaming mean and covariance: O(d²) memory whatever the number of rows.

    Rows are summed in chunks of a fixed size, centred on the chunk's own mean and merged in their order (Chan, Golub
    and LeVeque 1983, eq. 2.1), so that the result is the same to the last bit whatever the size of the updates, and
    an offset of the features costs no digits.
    """

    def __init__(self, dimensions: int, *, whose: str = "given") -> None:
        self._whose = whose
        self._sums = Sums(dimensions)
        self._waiting = np.empty((BLOCK_ROWS + 1, dimensions))  # a chunk, and room for the step that goes with it
        self._waiting_rows = 0

    @property
    def sums(self) -> Sums:
        """The sums over all rows so far."""
        sums = self._sums.copy()
        sums.add(self._waiting[: self._waiting_rows + 1].copy(), self._waiting_rows)
        return sums

    def update(self, rows: Rows) -> Self:
        """Add rows (n, d). Raises InvalidSamples where they are not finite or of another dimension."""
        check_features(rows, self._whose, fewest=0)
        check_dimensions(self._waiting.shape[1], rows.shape[1])
        while len(rows):
            taken = rows[: BLOCK_ROWS - self._waiting_rows]
            self._waiting[self._waiting_rows : self._waiting_rows + len(taken)] = taken
            self._waiting_rows += len(taken)
            rows = rows[len(taken) :]
            if self._waiting_rows == BLOCK_ROWS:
                self._sums.add(self._waiting, BLOCK_ROWS)
                self._waiting_rows = 0
        return self

    def merge(self, other: "Moments") -> Self:
        """Add the rows of another stream after the own ones: equal to one stream to rounding."""
        others = other.sums
        check_dimensions(self._waiting.shape[1], len(others.mean))
        self._sums.add(self._waiting, self._waiting_rows)
        self._waiting_rows = 0
        self._sums.join(others)
        return self

    def compute(self) -> Statistics:
        """Statistics of all rows so far. Raises InvalidSamples for fewer than two."""
        return self.sums.statistics(self._whose)


def statistics_of(features: Rows, whose: str = "given") -> Statistics:
    """Statistics of features (n, d), to the last bit those of a stream of them unless a card computes them.

    Raises InvalidSamples.
    """
    check_features(features, whose)
    if found := ask_card(features.size * features.shape[1], lambda card: card.moments(features)):
        mean, scatter = found
        return Statistics(mean, _mirrored(scatter / (len(features) - 1)), len(features))
    sums, chunk = Sums(features.shape[1]), np.empty((BLOCK_ROWS + 1, features.shape[1]))
    for start in range(0, len(features), BLOCK_ROWS):
        rows = features[start : start + BLOCK_ROWS]
        chunk[: len(rows)] = rows
        sums.add(chunk, len(rows))
    return sums.statistics(whose)


def _mirrored(lower: Real) -> Real:
    """The symmetric matrix of this lower half, in its place: block by block, since whole columns miss every cache."""
    for start in range(0, len(lower), MIRRORED):
        block, after = slice(start, start + MIRRORED), slice(start + MIRRORED, None)
        lower[block, after] = lower[after, block].T
        corner = np.tril(lower[block, block])
        lower[block, block] = corner + np.tril(corner, -1).T
    return lower
