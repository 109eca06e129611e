"""Means over seeds and what two of them are apart: from when on a difference counts, on every page."""

import math
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import NamedTuple

SURE = 2.0
"""A difference counts from so many of its standard errors on."""


class Spread(NamedTuple):
    """Mean and sample standard deviation over the seeds."""

    mean: float
    deviation: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """That of at least one value."""
        known = list(values)
        return cls(mean(known), stdev(known) if len(known) > 1 else math.nan, len(known))

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(self.seeds)


class Difference(NamedTuple):
    """How far one mean is above another, and the standard error of that."""

    mean: float
    error: float

    @classmethod
    def between(cls, ours: Spread, theirs: Spread) -> "Difference":
        """Of seeds that have nothing to do with each other."""
        return cls(ours.mean - theirs.mean, math.hypot(ours.error, theirs.error))

    @classmethod
    def paired(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Difference":
        """Of values that belong together two by two."""
        apart = Spread.of(a - b for a, b in zip(ours, theirs, strict=True))
        return cls(apart.mean, apart.error)

    @property
    def counts(self) -> bool:
        """Whether it is more than chance explains; none at all never counts."""
        return self.mean != 0 and abs(self.mean) >= SURE * self.error
