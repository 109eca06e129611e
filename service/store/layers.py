"""The layers of the store, one over the other: which models there are, and where each lies."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from service.errors import InvalidManifest, InvalidRequest, ModelNotFound, WrongTask
from service.settings import Settings
from service.spelling import meant
from service.store.model import ID, WEIGHTS, Model
from service.versions import FILE as ALIASES
from service.versions import STABLE, Versions


class ModelStore:
    """The layers of the store, first match wins: added models, then the shipped ones."""

    def __init__(self, *layers: Path) -> None:
        self._layers = layers
        self._known: dict[str, Model] = {}
        self._versions: dict[str, Versions] = {}
        self._names: list[str] = []

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The layers that these settings name."""
        return cls(settings.added_models_dir, settings.shipped_models_dir)

    def ids(self) -> list[str]:
        """Every model that has weights, in alphabetical order."""
        return self._ids(*WEIGHTS, ALIASES)

    def each(self) -> list[str]:
        """The same, of those that are there in versions every one."""
        each = [(name, self.versions(name)) for name in self.ids()]
        return [
            word for name, known in each for word in ([f"{name}@{one}" for one in known.there()] if known else [name])
        ]

    def described_ids(self) -> list[str]:
        """Every model, trained or not, in alphabetical order."""
        return self._ids("model.toml", ALIASES)

    def _ids(self, *names: str) -> list[str]:
        files = (file for layer in self._layers for name in names for file in layer.glob(f"*/{name}"))
        return sorted(name for name in {file.parent.name for file in files} if ID.fullmatch(name))

    def sound(self, names: Iterable[str], *, described: bool = False) -> tuple[list[Model], dict[str, InvalidManifest]]:
        """Those of these models whose files are right, and what is wrong with each of the others.

        As `get` finds them, or `described`; what has been removed meanwhile is in neither.
        """
        models, broken = [], {}
        for name in names:
            try:
                model = self.described(name) if described else self.get(name)
                _ = model.manifest, model.card, model.version
            except InvalidManifest as error:
                broken[name] = error
            except ModelNotFound:
                continue
            else:
                models.append(model)
        return models, broken

    def get(self, model_id: str, *, task: str | None = None, version: str | None = None) -> Model:
        """The model of this id, and of this task where one is given; of its versions `stable` unless one is named.

        An id may name its version itself, `id@version`. Raises ModelNotFound, WrongTask, InvalidManifest, and
        InvalidRequest where two versions are named.
        """
        model = self._known.get(model_id) if version is None and "@" not in model_id else None
        if model is None:
            model = self._of_version(model_id, version)
        if task is not None and model.manifest.task != task:
            raise WrongTask(f"{model_id} does {model.manifest.task}, not {task}.")
        return model

    def chosen(self, model_id: str, *, task: str | None = None, version: str | None = None) -> Model:
        """The same for a request: where it names no version, each alias of the model has its share of them."""
        if version is None and model_id not in self._known and (versions := self.versions(model_id)) is not None:
            version = versions.share_out()
        return self.get(model_id, task=task, version=version)

    def versions(self, model_id: str) -> Versions | None:
        """The versions of a model that is added in such; None of all others."""
        known = self._versions.get(model_id)
        if known is not None and not Versions.has(known.folder):
            self.refresh(model_id)  # it was removed
            known = None
        if known is None and ID.fullmatch(model_id):
            folder = next((layer / model_id for layer in self._layers if Versions.has(layer / model_id)), None)
            if folder is None:
                return None
            known = self._versions[model_id] = Versions(folder)
        return known

    def extractor(self, model_id: str) -> Model:
        """The model of this id, which turns images into features. Raises ModelNotFound, WrongTask."""
        model = self.get(model_id)
        if not model.manifest.shows_features:
            raise WrongTask(f"{model_id} does {model.manifest.task}; it has no features of images.")
        return model

    def described(self, model_id: str) -> Model:
        """The model of this id, trained or not. Raises ModelNotFound."""
        return self.get(model_id) if self.versions(model_id.partition("@")[0]) else self._find(model_id, "model.toml")

    def refresh(self, model_id: str) -> None:
        """Read this model's files again when it is next asked for."""
        for key in [key for key in self._known if model_id in (key, key.partition("@")[0])]:
            del self._known[key]
        self._versions.pop(model_id, None)

    def refresh_unless(self, model_id: str, version: str) -> None:
        """Read this model's files again if they are known in another version."""
        known = self._known.get(model_id)
        if known is not None and known.version != version:
            self.refresh(model_id)

    def _of_version(self, model_id: str, version: str | None) -> Model:
        """The model of an id, or of `id@version`, in the version that is named beside it or in `stable`."""
        name, _, own = model_id.partition("@")
        if own and version not in (None, own) and self.get(model_id) is not self.get(name, version=version):
            raise InvalidRequest(f"{model_id[:200]} names one version, and {str(version)[:40]!r} is another.")
        asked = (own or STABLE) if version is None else version
        versions = self.versions(name)
        if versions is None:
            model = self._known.get(name) or self._known.setdefault(name, self._find(name))
            if asked not in (STABLE, model.version):
                raise ModelNotFound(f"The model {name} has the version {model.version} here, not {asked[:40]!r}.")
            return model
        found = versions.resolve(asked)
        key = f"{name}@{found}"
        return self._known.get(key) or self._known.setdefault(key, Model(versions.folder, version=found))

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
        raise ModelNotFound(f"There is no model called {model_id[:100]!r}; GET /models lists them.{near}")
