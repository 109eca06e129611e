"""The report of an evaluation: what was measured, on what, and what it means."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from service.evaluation.report.scores import Scores
from service.notebooks import Row, Shown

TOTAL = "total"
"""The seconds of all steps together, among those of each."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GeneratedSet(_Written):
    """The samples that were judged."""

    count: int | None = Field(description="Samples measured; null for statistics, which do not say.")
    sha256: str = Field(description="Of the content: the same in any order and packing.")
    understood: str | None = Field(None, description="What the file was taken for: its kind, its shape, its axes.")


class ReferenceSet(_Written):
    """What they were compared with."""

    name: str | None = Field(None, description="A stored reference's name; null for an uploaded one.")
    dataset: str | None = None
    count: int | None
    kept: int | None = Field(None, description="Samples of a stored reference whose features are kept.")
    sha256: str
    understood: str | None = Field(None, description="What an uploaded file was taken for.")


class Extraction(_Written):
    """How samples became features."""

    extractor: str = Field(description="A model's id, or `caller` for features that were sent.")
    weights_sha256: str | None = None
    dim: int
    decoder: str | None = Field(None, description="What turned image files into pixels.")
    resizing: str | None = Field(None, description="How images of another size became of the extractor's.")
    device: str | None = Field(None, description="What the extractor ran on.")


class Copies(_Written):
    """How many generated samples are reference samples."""

    exact: int | None = Field(description="The same pixels, or the same features; null where the reference says none.")
    near: int | None = Field(
        description="Beside them those whose features are those of a reference sample, or as good as that; null where"
        " no features of the reference are kept."
    )


class NoiseFloor(_Written):
    """What the metric reads on real samples alone, at the sizes of this evaluation: a score near it says nothing."""

    value: FiniteFloat
    spread: FiniteFloat | None = Field(
        None, description="Standard deviation from one set of real samples to the next; null in older reports."
    )
    sizes: tuple[int, ...] = Field(description="Samples that the value is for.")
    how: str


class MetricEntry(BaseModel):
    """One score with its details, which stand beside these fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    value: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None
    interval_reason: str | None = Field(description="Why there is no interval.")
    level: float
    estimand: str | None = Field(description="The number that the interval is to cover; null without one.")
    standard_error: FiniteFloat | None = Field(description="Of the value; null without an interval.")
    generated_error: FiniteFloat | None = Field(
        description="Standard error with the reference held fixed, by which evaluations on one reference differ; null "
        "without an interval."
    )
    noise_floor: NoiseFloor | None
    noise_floor_reason: str | None = Field(description="Why there is no noise floor.")
    times_floor: FiniteFloat | None = Field(
        None, description="How many times the floor the value is; null where the score does not fall to 0."
    )

    def number(self, part: str) -> float | None:
        """The number that a threshold names: the value for "", else a part; None where it is null."""
        low, high = self.interval or (None, None)
        named = {
            "": self.value,
            "interval.low": low,
            "interval.high": high,
            "standard_error": self.standard_error,
            "noise_floor": self.noise_floor.value if self.noise_floor else None,
            "times_floor": self.times_floor,
        }
        found = named[part] if part in named else (self.model_extra or {}).get(part)
        return None if found is None else float(found)


class Comparison(_Written):
    """A metric beside that of an earlier evaluation."""

    evaluation: str = Field(description="The earlier evaluation.")
    value: FiniteFloat = Field(description="The earlier score.")
    difference: FiniteFloat = Field(description="This score minus the earlier one.")
    interval: tuple[FiniteFloat, FiniteFloat] | None = Field(
        description="Of the difference, the reference held fixed; null where neither of the two scores has an error."
    )
    level: float | None = Field(
        None, description="Of that interval: so high that all comparisons of a verdict together err in 5 % of cases."
    )


Outcome = Literal["passed", "failed", "inconclusive"]


class Check(_Written):
    """One threshold, or one comparison with the baseline, and whether it held."""

    threshold: str
    value: float | None = Field(description="Null where the report has no such number, which fails the check.")
    passed: bool
    outcome: Outcome | None = Field(
        None,
        description="`inconclusive` where the value's interval lies on both sides of the threshold, or where a score is"
        " worse than the baseline's and nothing tells by how much it might be by chance.",
    )
    baseline: Comparison | None = Field(None, description="What the check compares with, if that is no number.")


class Verdict(_Written):
    """Whether every check held: by its value, unless the request says what counts where that is inconclusive."""

    passed: bool
    outcome: Outcome | None = Field(
        None, description="`failed` if one check surely fails, else `inconclusive` if one is; null in older reports."
    )
    checks: tuple[Check, ...]


class Report(Scores, Shown, _Written):
    """A finished evaluation; nothing in it changes any more. `report.fid` is `report.metrics["fid"].value`."""

    id: str
    status: Literal["finished"] = "finished"
    seed: int
    generated: GeneratedSet
    reference: ReferenceSet
    features: Extraction
    metrics: dict[str, MetricEntry]
    options: dict[str, dict[str, Any]] = Field({}, description="What each metric was computed with.")
    copies: Copies | None = Field(None, description="Generated samples that are copies of the reference's.")
    warnings: tuple[str, ...] = ()
    verdict: Verdict | None = Field(None, description="Null without thresholds and baseline.")
    timing: dict[str, float] = Field({}, description="Seconds of each step, some of which overlap, and of all.")
    inputs_sha256: str | None = Field(None, description="Of everything that the numbers depend on.")
    reused: str | None = Field(
        None,
        description="The earlier evaluation of the very same inputs whose numbers these are; null if computed anew.",
    )
    versions: dict[str, str] = Field({}, description="Of the service and of what it counts with.")

    def rows(self) -> Sequence[Row]:
        """One for each metric."""
        return [
            {
                "metric": name,
                "value": entry.value,
                "interval": None if entry.interval is None else "{:.4g} … {:.4g}".format(*entry.interval),
                "noise floor": None if entry.noise_floor is None else entry.noise_floor.value,
            }
            for name, entry in self.metrics.items()
        ]

    def brief(self) -> str:
        """The values, of how many samples, and the verdict."""
        values = ", ".join(f"{name} {entry.value:.4g}" for name, entry in self.metrics.items())
        count = "statistics" if self.generated.count is None else f"{self.generated.count:,} samples"
        verdict = "" if self.verdict is None else f", {'passed' if self.verdict.passed else 'failed'}"
        warnings = f", warnings: {len(self.warnings)}" if self.warnings else ""
        return f"{values} of {count} on {self.features.extractor}{verdict}{warnings}"
