"""Every training loop, by its name in `[training]`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from torch import nn

from service.errors import InvalidManifest
from service.training.adversarial import AdversarialRecipe, train_adversarial
from service.training.classifier import ClassifierRecipe, train_classifier
from service.training.run import Run


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop and the recipe that it follows."""

    recipe: type[BaseModel]
    train: Callable[[Any, Run], nn.Module]


LOOPS: dict[str, Loop] = {
    "adversarial": Loop(AdversarialRecipe, train_adversarial),
    "classifier": Loop(ClassifierRecipe, train_classifier),
}


def read_recipe(training: dict[str, Any]) -> tuple[Loop, BaseModel]:
    """The loop that `[training]` names, and its recipe. Raises InvalidManifest."""
    name = training.get("loop")
    if name not in LOOPS:
        raise InvalidManifest(f"[training] names no loop there is: {name!r}; there are {', '.join(LOOPS)}.")
    try:
        return LOOPS[name], LOOPS[name].recipe.model_validate(training)
    except ValidationError as error:
        raise InvalidManifest(f"[training]: {error}") from error
