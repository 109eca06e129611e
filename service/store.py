"""The model store: what is written about each model, and where its weights lie."""

import hashlib
import json
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import InvalidManifest, ModelNotFound, WrongTask

TaskName = Literal["classify", "generate", "forecast"]
Size = tuple[int, int]
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a folder of the store may be called, so that an id never leads elsewhere."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageInput(_Written):
    """What an image becomes before a net sees it: stored pixels / 255, minus `mean`, over `std`, padded."""

    size: Size = Field(description="Height and width of the stored pixels.")
    channels: Literal[1, 3]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pad: int = Field(0, ge=0, description="Black pixels added on each side before normalising.")

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("mean and std need one value a channel")
        return self


class ImageOutput(_Written):
    """What a generator's tensor in [−1, 1] becomes: pixels of 0 to 255, cropped."""

    size: Size = Field(description="Height and width of the pixels after cropping.")
    channels: Literal[1, 3]
    latent: int = Field(gt=0, description="Numbers drawn from N(0, 1) for one image.")
    crop: int = Field(0, ge=0, description="Pixels cut from each side.")


class Serving(_Written):
    """Limits of one model inside an engine."""

    max_batch: int = Field(64, ge=1, description="Most rows of a batch that interactive requests share.")
    block: int = Field(64, ge=1, description="Rows of the fixed blocks in which exact work is forwarded.")


class Manifest(_Written):
    """`model.toml`: what people decide about a model."""

    net: str
    task: TaskName
    chapter: int
    paper: str
    summary: str
    dataset: str
    options: dict[str, Any] = {}
    labels: tuple[str, ...] = ()
    input: ImageInput | None = None
    output: ImageOutput | None = None
    training: dict[str, Any] = {}
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _says_what_its_task_needs(self) -> Self:
        if self.task == "classify" and (self.input is None or not self.labels):
            raise ValueError("a classifier needs [input] and labels")
        if self.task == "generate" and self.output is None:
            raise ValueError("a generator needs [output]")
        return self


class Layer(_Written):
    """One row of a net's table: sizes are channels, height, width of one item."""

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None = Field(description="Input pixels, along one side, that one unit sees.")


class Score(_Written):
    """A number measured on data that training never saw, and how."""

    value: float
    on: str
    how: str


class Card(_Written):
    """`card.json`: what `chapterhouse train` found out about a model."""

    sha256: str
    size_bytes: int
    parameters: int
    macs: int
    layers: tuple[Layer, ...]
    seed: int
    versions: dict[str, str]
    hardware: str
    seconds: float
    recipe: dict[str, Any]
    scores: dict[str, Score]


class Model:
    """One folder of the store. Raises InvalidManifest where its files contradict themselves."""

    def __init__(self, folder: Path) -> None:
        self.id = folder.name
        self.folder = folder
        self.weights = folder / "weights.safetensors"

    @cached_property
    def manifest(self) -> Manifest:
        """What `model.toml` says."""
        path = self.folder / "model.toml"
        try:
            return Manifest.model_validate(tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise InvalidManifest(f"{path}: {error}") from error

    @cached_property
    def card(self) -> Card | None:
        """What `card.json` says; None where the model has not been trained."""
        path = self.folder / "card.json"
        try:
            return Card.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise InvalidManifest(f"{path}: {error}") from error

    @property
    def version(self) -> str:
        """The first twelve digits of the weights' sha256; `untrained` without a card."""
        return self.card.sha256[:12] if self.card else "untrained"

    @property
    def input(self) -> ImageInput:
        """The classifier's input. Raises WrongTask for a model that reads no images."""
        if self.manifest.input is None:
            raise WrongTask(f"{self.id} does {self.manifest.task}; it reads no images")
        return self.manifest.input

    @property
    def output(self) -> ImageOutput:
        """The generator's output. Raises WrongTask for a model that draws no images."""
        if self.manifest.output is None:
            raise WrongTask(f"{self.id} does {self.manifest.task}; it draws no images")
        return self.manifest.output


class ModelStore:
    """The layers of the store, first match wins: added models, then the shipped ones."""

    def __init__(self, *layers: Path) -> None:
        self._layers = layers
        self._known: dict[str, Model] = {}

    def ids(self) -> list[str]:
        """Every model that has weights, in alphabetical order."""
        found = (weights.parent.name for layer in self._layers for weights in layer.glob("*/weights.safetensors"))
        return sorted(set(found))

    def get(self, model_id: str, *, task: str | None = None) -> Model:
        """The model of this id, and of this task where one is given. Raises ModelNotFound, WrongTask."""
        model = self._known.get(model_id)
        if model is None:
            model = self._known[model_id] = self._find(model_id)
        if task is not None and model.manifest.task != task:
            raise WrongTask(f"{model_id} does {model.manifest.task}, not {task}")
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

    def _find(self, model_id: str, file: str = "weights.safetensors") -> Model:
        if _ID.fullmatch(model_id):
            for layer in self._layers:
                if (layer / model_id / file).is_file():
                    return Model(layer / model_id)
        raise ModelNotFound(f"There is no model called {model_id!r}; GET /models lists them.")


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_card(card: Card, path: Path) -> None:
    """Write `card.json` so that a reader sees the old one or the new one, never half of it."""
    staged = path.with_suffix(".json.staged")
    staged.write_text(json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n", "utf-8")
    staged.replace(path)
