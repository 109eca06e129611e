"""What real samples score against real samples, at the sizes of an evaluation: a score near that says nothing.

The bias of a score, and with it what real samples reach, falls with the number of samples n. Where real samples beside
the reference are known, it was measured at several sizes, and

    mean(n) = a + b / n,   spread(n) = c + d / n

are fitted to that. Elsewhere pairs of disjoint random parts of the reference itself are compared, and where a score is
known to fall with 1/n for real samples, a = 0, it is brought from their sizes to those of the evaluation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

MOST_IN_PART = 2500
"""Samples of a part: what more would add to the digits of the floor costs more than the score."""
SIMILAR = 0.05
"""Share by which two sets may differ in size and be parted like equal ones."""
FEWEST_IN_PART = 10
BELOW = 0.5
"""Share of the smallest size that was measured down to which a law holds: with fewer, scores of 1/n have other terms,
and those that are shares would leave the range of such."""
OFTEN, SELDOM = 8, 3
"""Pairs of parts: of a reference of few numbers, and of one of many."""
LIGHT = 1 << 21
"""So many numbers are few."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What a metric reads on real samples alone; without a value, `how` is the reason."""

    value: float | None
    sizes: tuple[int, ...]
    how: str
    spread: float | None = None
    """The standard deviation from one set of real samples to the next."""


class FloorLaw(BaseModel):
    """A metric of real samples beside the reference, at several sizes: what a stored reference keeps of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sizes: tuple[int, ...] = Field(description="Samples of each set that was compared with the reference.")
    means: tuple[FiniteFloat, ...] = Field(description="Of the scores of the sets of one size.")
    spreads: tuple[FiniteFloat, ...] = Field(description="Their standard deviations.")
    repeats: tuple[int, ...] = Field(description="How many disjoint sets of each size there were.")
    on: str = Field(description="Whose samples these were.")

    @classmethod
    def of(cls, scores: Mapping[int, Sequence[float]], on: str) -> Self:
        """The law of scores by the size of the sets, two sets or more of each."""
        return cls(
            sizes=tuple(scores),
            means=tuple(float(np.mean(found)) for found in scores.values()),
            spreads=tuple(float(np.std(found, ddof=1)) for found in scores.values()),
            repeats=tuple(map(len, scores.values())),
            on=on,
        )

    def at(self, count: int) -> Floor:
        """The floor of an evaluation of so many samples; none far below the sizes that were measured."""
        if count < BELOW * min(self.sizes):
            return Floor(
                None,
                (),
                f"sets of {min(self.sizes):,} samples and more of {self.on} were compared with this reference: what"
                f" {count:,} score is not known",
            )
        inverse = 1 / np.array(self.sizes)
        weights = 1 / np.maximum(np.array(self.spreads) / np.sqrt(self.repeats), 1e-12)
        slope, limit = np.polyfit(inverse, self.means, 1, w=weights)
        rise, least = np.polyfit(inverse, self.spreads, 1)
        spread = max(0.0, float(least + rise / count))
        how = (
            f"a + b/n through {len(self.sizes)} sizes from {min(self.sizes):,} to {max(self.sizes):,} of {self.on},"
            " each compared with this reference"
        )
        return Floor(float(limit + slope / count), (count,), how, spread)


def repeats_of(count: int, dimensions: int) -> int:
    """How many pairs of parts are compared."""
    return OFTEN if count * dimensions <= LIGHT else SELDOM


def floor_of_parts(
    values: Sequence[float], parts: tuple[int, int], sizes: tuple[int | None, int | None] | None = None
) -> Floor:
    """The floor from the scores of pairs of parts; brought to these sizes, in 1/n, where they are given and known.

    Of both pairs of sizes the first is that of the generated set, or of the part in its place.
    """
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    how = f"mean of {len(values)} pairs of disjoint random parts of the reference"
    if sizes is None:
        like = "at their size" if parts[0] == parts[1] else "as unequal as the sets, at their size"
        return Floor(mean, parts, f"{how}, {like}", spread)
    of_generated, of_reference = sizes
    part = parts[0]
    if of_generated is None or of_reference is None:
        return Floor(mean, parts, f"{how}, at their size: one side does not say how many samples it has", spread)
    factor = (1 / of_generated + 1 / of_reference) / (2 / part)
    how = f"{how}, {part:,} samples each, brought to these sizes in proportion to 1/n"
    return Floor(mean * factor, (of_generated, of_reference), how, spread * factor)
