"""The model store: what is written about each model, and where its weights lie."""

import json
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from service.calibration import Calibration
from service.errors import InvalidManifest, ModelNotFound, WrongTask
from service.exactness import FormName, FormScore
from service.files import file_sha256, write_whole
from service.manifest import (
    EXTRACTING,
    FILES,
    ONNX,
    ImageInput,
    ImageOutput,
    Manifest,
    PointsOutput,
    Resample,
    SeriesSpec,
    Serving,
    Size,
    Source,
    TaskName,
    Written,
)
from service.settings import Settings
from service.spelling import meant
from service.versions import FILE as ALIASES
from service.versions import STABLE, Versions

__all__ = [
    "EXTRACTING",
    "FILES",
    "ONNX",
    "WEIGHTS",
    "Card",
    "ImageInput",
    "ImageOutput",
    "Layer",
    "Manifest",
    "Model",
    "ModelStore",
    "PointsOutput",
    "Resample",
    "Score",
    "SeriesSpec",
    "Serving",
    "Size",
    "Source",
    "TaskName",
    "write_card",
]
"""What the store is and, of `service.manifest`, what its models say of themselves."""
WEIGHTS = ("weights.safetensors", *FILES.values())
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a folder of the store may be called, so that an id never leads elsewhere."""
_NUMBERS = re.compile(r"\[\s+([-+.\deE,\s]+?)\s+\]")
"""A list of nothing but numbers, over several lines."""


class Layer(Written):
    """One row of a net's table: sizes are channels, height, width of one item."""

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None = Field(description="Input pixels, along one side, that one unit sees.")


class Score(Written):
    """A number measured on data that training never saw, and how."""

    value: float
    on: str
    how: str


class Card(Written):
    """`card.json`: what `chapterhouse train` found out about a model."""

    sha256: str
    size_bytes: int
    parameters: int
    macs: int | None = Field(description="None of a file of others, which keeps its layers to itself.")
    layers: tuple[Layer, ...]
    seed: int
    versions: dict[str, str]
    hardware: str
    seconds: float
    recipe: dict[str, Any]
    noticed: tuple[str, ...] = Field((), description="What went wrong in training, such as a collapse, and when.")
    ending: dict[str, float] = Field(
        {}, description="The last row of its history, where there is one: of a stack, means and deviations over it."
    )
    scores: dict[str, Score]
    calibration: Calibration | None = Field(
        None, description="What makes a classifier's probabilities ones to believe; `chapterhouse calibrate` finds it."
    )
    forms: dict[FormName, FormScore] = Field({}, description="Of a classifier; `chapterhouse models forms` finds them.")


class Model:
    """A folder of the store, or of a `version` in it. Raises InvalidManifest where its files contradict themselves."""

    def __init__(self, folder: Path, *, version: str = "") -> None:
        self.name = folder.name
        self.id = f"{folder.name}@{version}" if version else folder.name
        """Its name, and its version where it is added in several: to engines each of them is a model."""
        self._version = version
        folder = folder / version
        self.folder = folder
        found = (folder / name for name in WEIGHTS if (folder / name).is_file())
        self.weights = next(found, folder / WEIGHTS[0])
        self.recording = folder / "recording.safetensors"

    @cached_property
    def manifest(self) -> Manifest:
        """What `model.toml` says."""
        path = self.folder / "model.toml"
        try:
            written = tomllib.loads(path.read_text("utf-8"))
            if isinstance(written.get("labels"), str):
                written["labels"] = self._shared_labels(written["labels"])
            return Manifest.model_validate(written)
        except (OSError, ValueError) as error:  # of TOML, of its words, and of bytes that are no UTF-8
            raise InvalidManifest.of_file(path, error) from error

    def _shared_labels(self, name: str) -> list[str]:
        """The lines of a file in the store's folder of labels, for classes that many models share."""
        if not _ID.fullmatch(name):
            raise InvalidManifest.of_file(self.folder / "model.toml", f"{name!r} is no name of labels.")
        return (self.folder.parent / "labels" / f"{name}.txt").read_text("utf-8").splitlines()

    @cached_property
    def card(self) -> Card | None:
        """What `card.json` says; None where the model has not been trained."""
        path = self.folder / "card.json"
        try:
            return Card.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InvalidManifest.of_file(path, error) from error

    @property
    def calibration(self) -> Calibration | None:
        """What the card says of a classifier's probabilities; None where nobody has calibrated it."""
        return self.card.calibration if self.card else None

    @cached_property
    def weights_sha256(self) -> str | None:
        """The weights' sha256: as the card says, or without a card as the file is; None where there are no weights."""
        if self.card is not None:
            return self.card.sha256
        return file_sha256(self.weights) if self.weights.is_file() else None

    @property
    def version(self) -> str:
        """Its own name, or the first twelve digits of the weights' sha256; `untrained` without weights."""
        if self._version:
            return self._version
        return self.weights_sha256[:12] if self.weights_sha256 else "untrained"

    @property
    def input(self) -> ImageInput:
        """The classifier's input. Raises WrongTask for a model that reads no images."""
        if self.manifest.input is None:
            raise WrongTask(f"{self.id} does {self.manifest.task}; it reads no images.")
        return self.manifest.input

    @property
    def output(self) -> ImageOutput:
        """The generator's output. Raises WrongTask for a model that draws no images."""
        if self.manifest.output is None:
            raise WrongTask(f"{self.id} does {self.manifest.task}; it draws no images.")
        return self.manifest.output

    @property
    def series(self) -> SeriesSpec:
        """The forecaster's series. Raises WrongTask for a model that reads none."""
        if self.manifest.series is None:
            raise WrongTask(f"{self.id} does {self.manifest.task}; it reads no series.")
        return self.manifest.series


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
        return sorted({file.parent.name for file in files})

    def get(self, model_id: str, *, task: str | None = None, version: str | None = None) -> Model:
        """The model of this id, and of this task where one is given; of its versions `stable` unless one is named.

        An id may name its version itself, `id@version`. Raises ModelNotFound, WrongTask, InvalidManifest.
        """
        model = self._known.get(model_id) if version is None else None
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
        if known is None and _ID.fullmatch(model_id):
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
        asked = own or STABLE if version is None else version
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
        if _ID.fullmatch(model_id):
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


def write_card(card: Card, path: Path) -> None:
    """Write `card.json`, a row of numbers on one line; a reader sees the old one or the new one, never half of it."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    text = _NUMBERS.sub(lambda row: f"[{' '.join(row[1].split())}]", text)
    write_whole(path, text.encode())
