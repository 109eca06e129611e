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


class Moments:
    """Streaming mean and covariance: O(d²) memory whatever the number of rows.

    Rows are summed in chunks of a fixed size, centred on the chunk's own mean and merged in their order (Chan, Golub
    and LeVeque 1983, eq. 2.1), so that the result is the same to the last bit whatever the size of the updates, and
    an offset of the features costs no digits.
    """

    def __init__(self, dimensions: int, *, whose: str = "given") -> None:
        self._whose = whose
        self._waiting = np.empty((BLOCK_ROWS, dimensions))
        self._waiting_rows = 0
        self._rows = 0
        self._mean = np.zeros(dimensions)
        self._scatter = np.zeros((dimensions, dimensions))

    @property
    def count(self) -> int:
        """Rows seen."""
        return self._rows + self._waiting_rows

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
                self._flush()
        return self

    def merge(self, other: "Moments") -> Self:
        """Add the rows of another stream after the own ones, equal to one stream to rounding; `other` stays as it is."""
        check_dimensions(self._waiting.shape[1], other._waiting.shape[1])
        self._flush()
        self._absorb(other._rows, other._mean, other._scatter)
        return self.update(other._waiting[: other._waiting_rows])

    def compute(self) -> Statistics:
        """Statistics of all rows so far. Raises InvalidSamples for fewer than two."""
        if self.count < 2:
            raise InvalidSamples(f"The {self._whose} set has {self.count} sample(s); at least 2 are needed.")
        whole = Moments(len(self._mean))
        whole._absorb(self._rows, self._mean, self._scatter)
        whole._add(self._waiting[: self._waiting_rows])
        return Statistics(whole._mean, whole._scatter / (whole._rows - 1), whole._rows)

    def _flush(self) -> None:
        self._add(self._waiting[: self._waiting_rows])
        self._waiting_rows = 0

    def _add(self, rows: Real) -> None:
        if not len(rows):
            return
        mean = rows.mean(axis=0)
        step = mean - self._mean
        # the step between the means as one more row: one product gives the chunk's scatter and the merge's correction
        weight = self._rows * len(rows) / (self._rows + len(rows))
        centred = np.vstack([rows - mean, np.sqrt(weight) * step])
        self._scatter += centred.T @ centred
        self._rows += len(rows)
        self._mean = self._mean + step * (len(rows) / self._rows)

    def _absorb(self, rows: int, mean: Real, scatter: Real) -> None:
        if not rows:
            return
        step = mean - self._mean
        weight = self._rows * rows / (self._rows + rows)
        self._scatter += scatter + weight * np.outer(step, step)
        self._rows += rows
        self._mean = self._mean + step * (rows / self._rows)


def statistics_of(features: Rows, whose: str = "given") -> Statistics:
    """Statistics of features (n, d). Raises InvalidSamples."""
    check_features(features, whose)
    return Moments(features.shape[1], whose=whose).update(features).compute()
