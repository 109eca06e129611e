"""Every training loop, by its name in `[training]`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from torch import nn

from service.errors import InvalidManifest
from service.training.adversarial.loop import train_adversarial
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.classifier import ClassifierRecipe, train_classifier
from service.training.reservoir import (
    ReservoirClassifierRecipe,
    ReservoirRecipe,
    train_reservoir,
    train_reservoir_classifier,
)
from service.training.run import Run
from service.training.sequence import SequenceRecipe, train_sequence


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop and the recipe that it follows."""

    recipe: type[BaseModel]
    train: Callable[[Any, Run], nn.Module]
    shares_batches: bool = False
    """Whether several processes can train one net together."""


LOOPS: dict[str, Loop] = {
    "adversarial": Loop(AdversarialRecipe, train_adversarial),
    "classifier": Loop(ClassifierRecipe, train_classifier, shares_batches=True),
    "reservoir": Loop(ReservoirRecipe, train_reservoir),
    "reservoir-classifier": Loop(ReservoirClassifierRecipe, train_reservoir_classifier),
    "sequence": Loop(SequenceRecipe, train_sequence),
}


REDUCED = "reduced"
Form = Literal["full", "reduced"]
"""Which of a manifest's recipes: `[training]`, or that with what `[training.reduced]` says otherwise."""


def read_recipe(training: dict[str, Any], *, form: Form = "full") -> tuple[Loop, BaseModel]:
    """The loop that `[training]` names, and its recipe in this form. Raises InvalidManifest."""
    reduced = training.get(REDUCED)
    training = {key: value for key, value in training.items() if key != REDUCED}
    if form == REDUCED:
        if not isinstance(reduced, dict):
            raise InvalidManifest("[training] has no reduced recipe.")
        training = {**training, **reduced}
    name = training.get("loop")
    if name not in LOOPS:
        raise InvalidManifest(f"[training] names no loop there is: {name!r}; there are {', '.join(LOOPS)}.")
    try:
        return LOOPS[name], LOOPS[name].recipe.model_validate(training)
    except ValidationError as error:
        raise InvalidManifest(f"[training]: {error}") from error
