"""The layers of the store, one over the other: which models there are, and where each lies."""

from pathlib import Path
from typing import Self

from service.errors import ModelNotFound, WrongTask
from service.settings import Settings
from service.spelling import meant
from service.store.manifest import EXTRACTING
from service.store.model import ID, WEIGHTS, Model


class ModelStore:
    """The layers of the store, first match wins: added models, then the shipped ones."""

    def __init__(self, *layers: Path) -> None:
        self._layers = layers
        self._known: dict[str, Model] = {}
        self._names: list[str] = []

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The layers that these settings name."""
        return cls(settings.added_models_dir, settings.shipped_models_dir)

    def ids(self) -> list[str]:
        """Every model that has weights, in alphabetical order."""
        return self._ids(*WEIGHTS)

    def described_ids(self) -> list[str]:
        """Every model, trained or not, in alphabetical order."""
        return self._ids("model.toml")

    def _ids(self, *names: str) -> list[str]:
        files = (file for layer in self._layers for name in names for file in layer.glob(f"*/{name}"))
        return sorted({file.parent.name for file in files})

    def get(self, model_id: str, *, task: str | None = None) -> Model:
        """The model of this id, and of this task where one is given. Raises ModelNotFound, WrongTask."""
        model = self._known.get(model_id)
        if model is None:
            model = self._known[model_id] = self._find(model_id)
        if task is not None and model.manifest.task != task:
            raise WrongTask(f"{model_id} does {model.manifest.task}, not {task}.")
        return model

    def extractor(self, model_id: str) -> Model:
        """The model of this id, which turns images into features. Raises ModelNotFound, WrongTask."""
        model = self.get(model_id)
        if model.manifest.task not in EXTRACTING:
            raise WrongTask(f"{model_id} does {model.manifest.task}; it has no features of images.")
        return model

    def described(self, model_id: str) -> Model:
        """The model of this id, trained or not. Raises ModelNotFound."""
        return self._find(model_id, "model.toml")

    def refresh(self, model_id: str) -> None:
        """Read this model's files again when it is next asked for."""
        self._known.pop(model_id, None)

    def refresh_unless(self, model_id: str, version: str) -> None:
        """Read this model's files again if they are known in another version."""
        known = self._known.get(model_id)
        if known is not None and known.version != version:
            self.refresh(model_id)

    def _find(self, model_id: str, *files: str) -> Model:
        if ID.fullmatch(model_id):
            for layer in self._layers:
                if any((layer / model_id / file).is_file() for file in files or WEIGHTS):
                    return Model(layer / model_id)
            if any((layer / model_id / "model.toml").is_file() for layer in self._layers):
                raise ModelNotFound(
                    f"The model {model_id!r} has no weights here; `chapterhouse models fetch {model_id}` gets those "
                    f"that somebody publishes, `chapterhouse train {model_id}` makes them."
                )
        self._names = self._names or self.described_ids()  # who asks for nonsense must not make the disk work
        near = meant(model_id, self._names)
        raise ModelNotFound(f"There is no model called {model_id!r}; GET /models lists them.{near}")
