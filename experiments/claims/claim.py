"""A sentence of the notes, the trials that put it to the test, and what would bear it out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from experiments.claims.record import Record
from experiments.claims.trial import GOAL, Measurement, Trial
from experiments.spreads import Difference, Spread

SEEDS = 3
Verdict = Literal["reproduced", "not reproduced", "too close to call", "not measured"]


def error_per_cent(found: Measurement) -> float:
    """Per cent of the test images."""
    return 100 * found.test_error


def epochs_to_goal(found: Measurement) -> float:
    """Epochs until the training error is a quarter, between two epochs by a straight line; infinite if never."""
    before = 0.9
    for epoch, error in enumerate(found.curve, start=1):
        if error <= GOAL:
            return epoch - 1 + (before - GOAL) / (before - error)
        before = error
    return math.inf


@dataclass(frozen=True, slots=True)
class Comparison:
    """That one variant is better than another, or worse by `allowed` at most."""

    this: str
    that: str
    allowed: float | None = None
    of: Callable[[Measurement], float] = error_per_cent
    unit: str = "%"

    def judge(self, found: Mapping[str, list[Measurement]]) -> Verdict:
        """Whether the measurements bear it out, counting differences of two standard errors."""
        if any(len(found[name]) < SEEDS for name in (self.this, self.that)):
            return "not measured"
        this, that = ([self.of(one) for one in found[name]] for name in (self.this, self.that))
        if math.inf in this or math.inf in that:
            return _judge_reached(this, that)
        apart = Difference.between(Spread.of(this), Spread.of(that))
        worse = apart._replace(mean=apart.mean - (self.allowed or 0.0))
        if not worse.counts:
            return "too close to call"
        return "reproduced" if worse.mean < 0 else "not reproduced"


def _judge_reached(this: list[float], that: list[float]) -> Verdict:
    """Where a goal was not always reached: borne out if only ours always was."""
    if math.inf not in this:
        return "reproduced"
    return "too close to call" if math.inf in that else "not reproduced"


@dataclass(frozen=True)
class Claim:
    """One section of the document."""

    key: str
    title: str
    sentence: str
    done: str
    """What was done, in words."""
    trials: Mapping[str, Trial]
    comparisons: tuple[Comparison, ...]
    remark: str = ""
    """What there is to say about the outcome; of one that is not reproduced, what limits it."""
    columns: Mapping[str, Callable[[Measurement], float]] = field(default_factory=dict)
    """Further columns of the table."""
    further: Mapping[str, Trial] = field(default_factory=dict)
    """Further rows of the table, of one seed each: too few for a verdict."""
    seeds: int = SEEDS
    tuning: Mapping[str, Trial] = field(default_factory=dict)
    """What was tried, on a seed of its own, to find the rate of each variant."""

    @property
    def all_trials(self) -> tuple[Trial, ...]:
        """Those of the tuning, those that are compared, and those that stand beside them."""
        return *self.tuning.values(), *self.trials.values(), *self.further.values()

    def rows(self, seed: int) -> dict[str, Trial]:
        """The rows of the table that have this seed."""
        compared = self.trials if seed < self.seeds else {}
        return {**compared, **(self.further if seed == 0 else {})}

    def found(self, record: Record) -> dict[str, list[Measurement]]:
        """Every variant's measurements."""
        compared = {name: record.of(trial)[: self.seeds] for name, trial in self.trials.items()}
        return {**compared, **{name: record.of(trial)[:1] for name, trial in self.further.items()}}

    def judge(self, record: Record) -> list[Verdict]:
        """One verdict a comparison."""
        found = self.found(record)
        return [comparison.judge(found) for comparison in self.comparisons]
