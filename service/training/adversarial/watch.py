"""Divergence and collapse of an adversarial training, noticed while it runs."""

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from service.errors import TrainingFailed
from service.training.history import Row

Trouble = Literal["divergence", "collapse"]


class Finding(NamedTuple):
    """One thing that a row tells of, and whether it is wrong."""

    kind: Trouble
    name: str
    words: str
    wrong: bool


class Watched(BaseModel):
    """From when on a training is said to fail, and what of it ends it (Chintala et al., point 10)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop: tuple[Trouble, ...] = Field(
        ("divergence",), description="What ends the training with an error: nothing follows a loss that is not finite."
    )
    grace: float = Field(0.1, ge=0, le=1, description="Share of the iterations in which a generator may still be poor.")
    steepest: float = Field(1000.0, gt=0, description="Mean norm of a gradient above which it is said to explode.")
    surest: float = Field(1e-3, ge=0, description="Loss below which a discriminator is too sure to teach anything.")
    fewest_modes: float = Field(0.5, ge=0, le=1, description="Share of the classes that must be covered.")
    least_spread: float = Field(0.5, ge=0, description="Deviation of the samples as a share of that of the data.")


class Watch:
    """Looks at every row of the history; says when something begins, once, and remembers all that it said."""

    def __init__(self, watched: Watched, *, iterations: int, labelled: bool) -> None:
        self._watched, self._iterations, self._labelled = watched, iterations, labelled
        self._under_way: set[str] = set()
        self.noticed: list[str] = []

    def look(self, row: Row) -> list[str]:
        """What began with this row, in words. Raises TrainingFailed for what ends the training."""
        begun = [found for found in self._findings(row) if found.wrong and found.name not in self._under_way]
        # What this row does not tell is as it was.
        for found in self._findings(row):
            (self._under_way.add if found.wrong else self._under_way.discard)(found.name)
        words = [f"iteration {row['step']:g}: {found.words}" for found in begun]
        self.noticed += words
        for found, said in zip(begun, words, strict=True):
            if found.kind in self._watched.stop:
                raise TrainingFailed(f"The training was stopped: {found.kind} at {said}.")
        return words

    def _findings(self, row: Row) -> Iterator[Finding]:
        yield from self._divergence(row)
        if row["step"] > self._watched.grace * self._iterations:
            yield from self._collapse(row)

    def _divergence(self, row: Row) -> Iterator[Finding]:
        for name, value in row.items():
            words = name.replace("_", " ")
            yield Finding("divergence", name, f"{words} is {value}", wrong=not math.isfinite(value))
            if name.endswith("_gradient") and math.isfinite(value):
                steep = value > self._watched.steepest
                yield Finding("divergence", f"norm of {name}", f"the norm of the {words} is {value:.3g}", wrong=steep)

    def _collapse(self, row: Row) -> Iterator[Finding]:
        if self._labelled and "discriminator_loss" in row:
            loss = row["discriminator_loss"]
            wrong = loss < self._watched.surest
            yield Finding("collapse", "sure", f"the discriminator is sure, its loss {loss:.3g}", wrong=wrong)
        if "modes" in row:
            covered, there = row["modes"], row["all_modes"]
            wrong = covered <= self._watched.fewest_modes * there
            yield Finding("collapse", "modes", f"{covered:g} of {there:g} modes are covered", wrong=wrong)
        if "spread" in row:
            spread = row["spread"]
            wrong = spread <= self._watched.least_spread
            yield Finding("collapse", "spread", f"samples spread {spread:.2f} times as far as the data", wrong=wrong)

    def state_dict(self) -> dict[str, Any]:
        """What was said, and what is still under way."""
        return {"noticed": self.noticed, "under_way": sorted(self._under_way)}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take it back."""
        self.noticed = list(state_dict["noticed"])
        self._under_way = set(state_dict["under_way"])
