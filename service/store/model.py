"""One model: its folder in the store, read when somebody asks."""

import re
from functools import cached_property
from pathlib import Path

from service.calibration import Calibration
from service.errors import InvalidManifest, WrongTask
from service.files import file_sha256
from service.store.card import Card
from service.store.manifest import FILES, ImageInput, ImageOutput, Manifest, SeriesSpec
from service.written import of_toml, read_text, read_whole

WEIGHTS = ("weights.safetensors", *FILES.values())
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a folder of the store may be called, so that an id never leads elsewhere."""


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
            written = of_toml(read_text(path))
            if isinstance(written.get("labels"), str):
                written["labels"] = read_text(self.file_of_labels(written["labels"])).splitlines()
            return Manifest.model_validate(written)
        except (OSError, ValueError) as error:  # of TOML, of its words, and of bytes that are no UTF-8
            raise InvalidManifest.of_file(path, error) from error

    def file_of_labels(self, name: str) -> Path:
        """The file with a label a line that a manifest names: the store's, for many models, or the model's own copy."""
        if not ID.fullmatch(name):
            raise InvalidManifest.of_file(self.folder / "model.toml", f"{name!r} is no name of labels.")
        own = self.folder / f"{name}.txt"
        return own if own.is_file() else self.folder.parent / "labels" / own.name

    @cached_property
    def card(self) -> Card | None:
        """What `card.json` says; None where the model has not been trained."""
        path = self.folder / "card.json"
        try:
            return Card.model_validate_json(read_whole(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
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
