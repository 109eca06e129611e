"""The report of an evaluation: what was measured, on what, and what it means."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GeneratedSet(_Written):
    """The samples that were judged."""

    count: int | None = Field(description="Samples measured; null for statistics, which do not say.")
    sha256: str = Field(description="Of the content: the same in any order and packing.")


class ReferenceSet(_Written):
    """What they were compared with."""

    name: str | None = Field(None, description="A stored reference's name; null for an uploaded one.")
    dataset: str | None = None
    count: int | None
    kept: int | None = Field(None, description="Samples of a stored reference whose features are kept.")
    sha256: str


class Extraction(_Written):
    """How samples became features."""

    extractor: str = Field(description="A model's id, or `caller` for features that were sent.")
    weights_sha256: str | None = None
    dim: int
    decoder: str | None = Field(None, description="What turned image files into pixels.")
    device: str | None = Field(None, description="What the extractor ran on.")


class NoiseFloor(_Written):
    """What the metric reads on the reference alone: a score near it says nothing."""

    value: FiniteFloat
    sizes: tuple[int, ...] = Field(description="Samples in each of the parts compared.")
    how: str


class MetricEntry(BaseModel):
    """One score with its details, which stand beside these fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    value: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat] | None
    interval_reason: str | None = Field(description="Why there is no interval.")
    level: float
    noise_floor: NoiseFloor | None
    noise_floor_reason: str | None = Field(description="Why there is no noise floor.")

    def number(self, part: str) -> float | None:
        """The number that a threshold names: the value for "", else a part; None where it is null."""
        low, high = self.interval or (None, None)
        named = {
            "": self.value,
            "interval.low": low,
            "interval.high": high,
            "noise_floor": self.noise_floor.value if self.noise_floor else None,
        }
        found = named[part] if part in named else (self.model_extra or {}).get(part)
        return None if found is None else float(found)


class Check(_Written):
    """One threshold and whether it held."""

    threshold: str
    value: float | None = Field(description="Null where the report has no such number, which fails the check.")
    passed: bool


class Verdict(_Written):
    """Whether every threshold held."""

    passed: bool
    checks: tuple[Check, ...]


class Report(_Written):
    """A finished evaluation; nothing in it changes any more."""

    id: str
    status: Literal["finished"] = "finished"
    seed: int
    generated: GeneratedSet
    reference: ReferenceSet
    features: Extraction
    metrics: dict[str, MetricEntry]
    warnings: tuple[str, ...] = ()
    verdict: Verdict | None = Field(None, description="Null without thresholds.")
    timing: dict[str, float] = Field({}, description="Seconds of each step.")
    versions: dict[str, str] = Field({}, description="Of the service and of what it counts with.")
