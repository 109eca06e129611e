"""Which model is meant: the one that is named, or the default one of a task where none is."""

from typing import Literal

from service.settings import Settings
from service.store import Model, ModelStore

Chosen = Literal["classify", "generate", "forecast"]


def choose_model(
    store: ModelStore, settings: Settings, named: str | None, task: Chosen, *, version: str | None = None
) -> Model:
    """The model for a task, in the version that is named or whose turn it is; an empty name is one that nothing has.

    Raises ModelNotFound, WrongTask.
    """
    if named is None:
        defaults: dict[Chosen, str] = {
            "classify": settings.default_classifier,
            "generate": settings.default_generator,
            "forecast": settings.default_forecaster,
        }
        named = defaults[task]
    return store.chosen(named, task=task, version=version)
