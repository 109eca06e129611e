"""What every metric is: options as fields, a score of two sides, and what that score is worth."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from service.errors import InvalidSamples
from service.metrics.floor import (
    FEWEST_IN_PART,
    MOST_IN_PART,
    SIMILAR,
    Floor,
    FloorLaw,
    floor_of_parts,
    repeats_of,
)
from service.metrics.samples import Rows, take
from service.metrics.statistics import Statistics
from service.metrics.uncertainty import FEW, FEWEST_WITH_INTERVAL, Interval

Detail = str | int | float
Better = Literal["lower", "higher", "nearer its ideal"]
Need = Literal["features", "features or statistics", "probabilities"]
RowNumbers = NDArray[np.int64]
T = TypeVar("T")

NOT_ASKED = "intervals were not asked for"


@dataclass(frozen=True, slots=True)
class Score:
    """One number, what belongs to it, and what its reader has to know."""

    value: float
    details: Mapping[str, Detail] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    interval: Interval | str = field(kw_only=True)
    """The interval, or why there is none: no metric can leave it out."""

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What is known of one side: features (n, d), probabilities (n, classes), statistics, or several of them."""

    features: Rows | None = None
    probabilities: Rows | None = None
    statistics: Statistics | None = None
    as_sent: RowNumbers | None = None
    """The rows in the order of whoever sent them, for metrics that cut a set in parts by it; None: as they lie."""
    digests: NDArray[np.uint8] | None = None
    """A digest (n, 16) of each sample, of a stored reference of all samples, in any order."""
    floors: Mapping[str, FloorLaw] | None = None
    """Of a stored reference, what real samples score against it, by metric."""
    copied: NDArray[np.bool_] | None = None
    """Of a generated set, which samples (n,) are exact copies of the reference's, as far as digests tell."""
    _remembered: dict[Hashable, Future[Any]] = field(default_factory=dict, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def count(self) -> int | None:
        """Samples measured; None for statistics that do not say."""
        if self.statistics is not None:
            return self.statistics.count
        rows = self.features if self.features is not None else self.probabilities
        return None if rows is None else len(rows)

    def sent_order(self, count: int) -> RowNumbers:
        """The `count` rows there are, in the order in which they were sent."""
        return np.arange(count) if self.as_sent is None else self.as_sent

    @property
    def count_of_features(self) -> int:
        """Samples whose features are known."""
        return 0 if self.features is None else len(self.features)

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` answered, or raised, for this key the first time, so that metrics share what is costly.

        A thread that asks for it while another computes it waits.
        """
        with self._lock:
            asked_before = key in self._remembered
            answer: Future[T] = self._remembered.setdefault(key, Future())
        if not asked_before:
            try:
                answer.set_result(compute())
            except BaseException as error:
                answer.set_exception(error)
                raise
        return answer.result()

    @property
    def dimensions(self) -> int:
        """Of a feature vector. Raises InvalidSamples where nothing is known of any."""
        if self.features is not None:
            return int(self.features.shape[1])
        if self.statistics is not None:
            return len(self.statistics.mean)
        raise InvalidSamples("There is nothing to measure.")

    def halves(self, seed: int) -> tuple[Self, Self]:
        """Two disjoint random parts of equally many rows, at most half of all.

        Raises InvalidSamples where no rows are known.
        """
        return self.remember(("halves", seed), lambda: self._halves(seed))

    def _halves(self, seed: int) -> tuple[Self, Self]:
        first, second = self.rows_of_halves(seed)
        return self._part(first), self._part(second)

    def rows_of_halves(self, seed: int) -> tuple[RowNumbers, RowNumbers]:
        """Which rows `halves` takes, ascending: for statistics that need not hold them all at once."""
        known = [rows for rows in (self.features, self.probabilities) if rows is not None]
        if not known:
            raise InvalidSamples("the reference is known by its statistics only")
        half = min(len(known[0]) // 2, MOST_IN_PART)
        order = np.random.default_rng(seed).permutation(len(known[0]))
        return np.sort(order[:half]), np.sort(order[half : 2 * half])

    def parts_like(self, other: Self, seed: int) -> tuple[Self, Self]:
        """Two disjoint random parts, the second to the first as the other side is to this; halves of equal sides.

        Raises InvalidSamples where no rows are known, or too few for that.
        """
        own, others = self._row_count(), other._row_count()
        if abs(own - others) <= SIMILAR * max(own, others):
            return self.halves(seed)
        total = min(own, 2 * MOST_IN_PART)
        second = round(total * others / (own + others))
        if min(second, total - second) < FEWEST_IN_PART:
            raise InvalidSamples(
                f"the {own:,} samples of the reference are too few to tell what {others:,} real ones would score"
            )
        return self.remember(("parts", seed, second), lambda: self._parts(seed, total - second, second))

    def _parts(self, seed: int, first: int, second: int) -> tuple[Self, Self]:
        order = np.random.default_rng(seed).permutation(self._row_count())[: first + second]
        return self._part(np.sort(order[:first])), self._part(np.sort(order[first:]))

    def _row_count(self) -> int:
        rows = self.features if self.features is not None else self.probabilities
        return 0 if rows is None else len(rows)

    def _part(self, rows: RowNumbers) -> Self:
        return type(self)(
            features=None if self.features is None else take(self.features, rows),
            probabilities=None if self.probabilities is None else take(self.probabilities, rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What somebody has to know who chooses a metric; what it measures is the first line of its class."""

    title: str
    """Its name for people."""
    better: Better
    """Which of two scores is the better one; an ideal is a part of the score."""
    generated: Need
    reference: Need | None
    """What it looks at on each side; None where it never looks at the reference."""
    samples: str
    """How many it wants, in words."""
    use: str
    """When to choose it, and when not."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Numbers of the score beside its value, which a threshold may name, and what each of them says."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Details of the score that are no numbers, and what each of them says."""


class Metric(BaseModel):
    """One entry of the registry; its fields are the options that a caller may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: ClassVar[About]

    @property
    def sees_order(self) -> bool:
        """Whether the score depends on the order in which samples were sent."""
        return False

    @abstractmethod
    def lacks(self, real: Side, generated: Side) -> str | None:
        """What this metric needs and was not given, as the end of a sentence; None where it can be measured."""

    @abstractmethod
    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:
        """The score, with its interval and p-value where they are asked for. Raises InvalidSamples.

        The seed moves nothing but p-values.
        """

    def advice(self, real: Side, generated: Side) -> str | None:  # noqa: ARG002
        """What somebody has to know before it is computed: that it takes long, and what would not."""
        return None

    falls: ClassVar[bool] = False
    """Whether the score of real samples falls to 0 as 1/n with the number of samples."""

    looks_at_neighbours: ClassVar[bool] = False
    """Whether the score depends on how many samples there are of one side for each of the other."""

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:
        """What real samples score, from pairs of disjoint random parts of the reference."""
        try:
            if reason := self.parts_tell_nothing(real, generated, len(real.rows_of_halves(seed)[0])):
                return Floor(None, (), reason)
            rows = real.features if real.features is not None else real.probabilities
            repeats = repeats_of(*rows.shape) if rows is not None else 0
            if self.looks_at_neighbours:
                pairs = [real.parts_like(generated, seed + place) for place in range(repeats)]
                values = [self.measure(*pair).value for pair in pairs]
                return floor_of_parts(values, (pairs[0][1].count_of_features, pairs[0][0].count_of_features))
            values = [self.between_halves(real, generated, seed + place) for place in range(repeats)]
        except InvalidSamples as error:
            return Floor(None, (), error.detail)
        part = len(real.rows_of_halves(seed)[0])
        return floor_of_parts(values, (part, part), (generated.count, real.count) if self.falls else None)

    def parts_tell_nothing(self, real: Side, generated: Side, part: int) -> str | None:  # noqa: ARG002
        """Why parts of so many samples do not tell what whole sets would score; None where they do."""
        return None

    def between_halves(self, real: Side, generated: Side, seed: int) -> float:  # noqa: ARG002 - others share with it
        """The score between two disjoint random parts of the reference. Raises InvalidSamples."""
        first, second = real.halves(seed)
        return self.measure(first, second).value


def interval_of(score: Score, *sides: Side) -> Interval | str:
    """A score's interval, or why there is none; that of a side with too few samples is none."""
    known = [rows for side in sides for rows in (side.features, side.probabilities) if rows is not None]
    if isinstance(score.interval, Interval) and any(len(rows) < FEWEST_WITH_INTERVAL for rows in known):
        return FEW
    return score.interval


def lacks_features(real: Side, generated: Side) -> str | None:
    """What a metric over features says where one side has none."""
    for side, whose in ((real, "reference"), (generated, "generated set")):
        if side.features is None:
            return f"the features of every sample; the {whose} has none"
    return None
