"""Mean and covariance of features, streamed in float64 and the same however the rows arrive."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from service.errors import InvalidSamples
from service.metrics.samples import BLOCK_ROWS, Real, Rows, check_covariance, check_dimensions, check_features


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


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Rows seen, their mean (d,) and their scatter Σ (x − mean)(x − mean)ᵀ (d, d)."""

    rows: int
    mean: Real
    scatter: Real

    def add(self, rows: Real) -> "Sums":
        """These sums and one chunk of rows (k, d)."""
        if not len(rows):
            return self
        mean, total = rows.mean(axis=0), self.rows + len(rows)
        step = mean - self.mean
        # the step between the means as one more row: one product gives the chunk's scatter and the merge's correction
        centred = np.vstack([rows - mean, np.sqrt(self.rows * len(rows) / total) * step])
        return Sums(total, self.mean + step * (len(rows) / total), self.scatter + centred.T @ centred)

    def join(self, other: "Sums") -> "Sums":
        """These sums and others."""
        if not other.rows:
            return self
        total, step = self.rows + other.rows, other.mean - self.mean
        scatter = self.scatter + other.scatter + (self.rows * other.rows / total) * np.outer(step, step)
        return Sums(total, self.mean + step * (other.rows / total), scatter)


class Moments:
    """Streaming mean and covariance: O(d²) memory whatever the number of rows.

    Rows are summed in chunks of a fixed size, centred on the chunk's own mean and merged in their order (Chan, Golub
    and LeVeque 1983, eq. 2.1), so that the result is the same to the last bit whatever the size of the updates, and
    an offset of the features costs no digits.
    """

    def __init__(self, dimensions: int, *, whose: str = "given") -> None:
        self._whose = whose
        self._sums = Sums(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))
        self._waiting = np.empty((BLOCK_ROWS, dimensions))
        self._waiting_rows = 0

    @property
    def sums(self) -> Sums:
        """The sums over all rows so far."""
        return self._sums.add(self._waiting[: self._waiting_rows])

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
                self._sums, self._waiting_rows = self.sums, 0
        return self

    def merge(self, other: "Moments") -> Self:
        """Add the rows of another stream after the own ones: equal to one stream to rounding."""
        check_dimensions(self._waiting.shape[1], len(other.sums.mean))
        self._sums, self._waiting_rows = self.sums.join(other.sums), 0
        return self

    def compute(self) -> Statistics:
        """Statistics of all rows so far. Raises InvalidSamples for fewer than two."""
        sums = self.sums
        if sums.rows < 2:
            raise InvalidSamples(f"The {self._whose} set has {sums.rows} sample(s); at least 2 are needed.")
        return Statistics(sums.mean, sums.scatter / (sums.rows - 1), sums.rows)


def statistics_of(features: Rows, whose: str = "given") -> Statistics:
    """Statistics of features (n, d). Raises InvalidSamples."""
    check_features(features, whose)
    return Moments(features.shape[1], whose=whose).update(features).compute()
