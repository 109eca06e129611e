"""Which model is meant: the one that is named, or the default one of a task where none is."""

from typing import Literal

from service.settings import Settings
from service.store import Model, ModelStore

Chosen = Literal["classify", "generate", "forecast"]


def choose_model(store: ModelStore, settings: Settings, named: str | None, task: Chosen) -> Model:
    """The model for a task. An empty name is one that no model has. Raises ModelNotFound, WrongTask."""
    if named is None:
        defaults: dict[Chosen, str] = {
            "classify": settings.default_classifier,
            "generate": settings.default_generator,
            "forecast": settings.default_forecaster,
        }
        named = defaults[task]
    return store.get(named, task=task)
