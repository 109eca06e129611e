"""What has been measured: a line of JSON for every generator, kept beside the document."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.store import Card


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Kept):
    """Mean and sample standard deviation over the seeds; one seed has no deviation."""

    mean: float
    deviation: float | None = None
    each: tuple[float, ...] | None = None
    """Every seed's own, where the training wrote them down."""


class Coverage(_Kept):
    """Modes that generators cover, share of their good samples (of points only), and reverse KL."""

    seeds: int
    modes: Spread
    good: Spread | None = None
    reverse_kl: Spread


class Digits(_Kept):
    """A generator of digits as independent classifiers see its images."""

    shares: tuple[float, ...]
    """Of the images that are named 0, 1, …"""
    confident: float
    one_nn_real: float
    one_nn_generated: float
    fid: float
    floor: float
    """FID between two halves of the test images."""
    confident_real: float | None = None
    """The share of the test images that are named with confidence."""
    seen_by: str = ""
    """The classifiers, their weights and temperatures; empty where nobody wrote them down."""


class Stack(_Kept):
    """A generator of three digits in one image, as the same classifiers see its channels."""

    confident: float
    """The share of images whose three digits are named with confidence."""
    confident_real: float
    """That of three independent test images."""
    seen_by: str


class Correlation(_Kept):
    """Spearman's, and the probability of one as large where there is none and moments are independent."""

    rho: float
    p: float


class Correlations(_Kept):
    """How each loss went with FID over a training."""

    moments: int
    of: dict[str, Correlation]


class Measurement(_Kept):
    """All of one generator: what made its weights, and what they are worth."""

    model: str
    weights: str
    """The first digits of their sha256."""
    form: str
    iterations: int
    afterwards: int | None = None
    """Iterations of a second part, beside a discriminator that began anew, where there was one."""
    seconds: float
    hardware: str
    noticed: tuple[str, ...] = ()
    coverage: Coverage | None = None
    digits: Digits | None = None
    stack: Stack | None = None
    correlation: Correlations | None = None

    @classmethod
    def begun(cls, model: str, card: Card) -> "Measurement":
        """What the card says of the training."""
        return cls(
            model=model,
            weights=card.sha256[:12],
            form=card.recipe.get("form", "full"),
            iterations=card.recipe["iterations"],
            afterwards=card.recipe.get("afterwards", {}).get("iterations"),
            seconds=card.seconds,
            hardware=card.hardware,
            noticed=card.noticed,
        )

    @property
    def told_iterations(self) -> str:
        """How long it was trained, in words: both parts where there are two."""
        return f"{self.iterations:,}{f' + {self.afterwards:,}' if self.afterwards else ''} iterations"

    @property
    def numbers(self) -> dict[str, float]:
        """Every number that something can be asked of, by name."""
        if self.digits is not None:
            extremes = {"rarest": min(self.digits.shares), "commonest": max(self.digits.shares)}
            return extremes | self.digits.model_dump(exclude={"shares", "confident_real", "seen_by"})
        assert self.coverage is not None
        found = {"modes": self.coverage.modes, "good": self.coverage.good, "reverse_kl": self.coverage.reverse_kl}
        confident = {"confident": self.stack.confident} if self.stack else {}
        return {name: spread.mean for name, spread in found.items() if spread is not None} | confident


Record = Mapping[str, Measurement]


def read_record(path: Path) -> dict[str, Measurement]:
    """The measurements by model; none where there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines()
    return {found.model: found for found in map(Measurement.model_validate_json, lines)}


def write_record(path: Path, measurements: Iterable[Measurement]) -> None:
    """Write these and no others, a line each, in their order."""
    lines = (json.dumps(found.model_dump(exclude_none=True), ensure_ascii=False) for found in measurements)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
