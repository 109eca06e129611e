"""The model store: what is written about each model, and where its weights lie."""

import json
import re
import tomllib
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.calibration import Calibration
from service.errors import InvalidManifest, ModelNotFound, WrongTask
from service.exactness import FormName, FormScore, Precision
from service.files import file_sha256, write_whole
from service.settings import Settings
from service.spelling import meant

TaskName = Literal["classify", "features", "generate", "forecast"]
EXTRACTING: frozenset[TaskName] = frozenset({"classify", "features"})
"""The tasks of models that look at images: a classifier shows its features, too; an extractor shows nothing else."""
Size = tuple[int, int]
Resample = Literal[
    "as-sent",
    "bicubic-antialias",
    "bilinear",
    "bilinear-antialias",
    "bilinear-antialias-torch",
    "bilinear-tf1",
    "pillow-bicubic",
    "pillow-bilinear",
]
ONNX = "onnx"
"""The net of a manifest whose weights are an ONNX file, which is the net itself."""
WEIGHTS = ("weights.safetensors", "weights.onnx")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a folder of the store may be called, so that an id never leads elsewhere."""
_NUMBERS = re.compile(r"\[\s+([-+.\deE,\s]+?)\s+\]")
"""A list of nothing but numbers, over several lines."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageInput(_Written):
    """What an image becomes before a net sees it: stored pixels / 255, minus `mean`, over `std`, padded."""

    size: Size = Field(description="Height and width of the stored pixels.")
    channels: Literal[1, 3]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = Field(
        None, gt=0, description="The shorter side before the middle is cut out; without it the whole is squeezed."
    )
    resample: Resample = Field(
        "pillow-bilinear",
        description="How images of another size become of this one: Pillow's antialiased filters round to 8 bits,"
        " those of `resampling` do not; `as-sent` resizes nothing and needs images of one size.",
    )
    pad: int = Field(0, ge=0, description="Black pixels added on each side before normalising.")
    ink: Literal["light"] | None = Field(
        None, description="Of one drawn character: light ink on black, to which `/classify` and `/explain` turn images."
    )
    frame: Literal["centred"] | None = Field(
        None, description="Where that lies: scaled and centred by its mass as in MNIST, to which they bring it."
    )

    @property
    def in_whole_pixels(self) -> bool:
        """Whether images are brought to size as bytes, where they are read; else by the engine, or just before it."""
        return self.resample.startswith("pillow-")

    @property
    def filter(self) -> Literal["bicubic", "bilinear"]:
        """Pillow's filter that brings images to size as bytes, or comes nearest to `resample` there."""
        return "bicubic" if "bicubic" in self.resample else "bilinear"

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("mean and std need one value a channel")
        square_and_grey = self.channels == 1 and self.size[0] == self.size[1]
        if (self.ink is None) != (self.frame is None) or (self.ink and not square_and_grey):
            raise ValueError("ink and frame go together, and describe square images in grey")
        return self


class ImageOutput(_Written):
    """What a generator's tensor in [−1, 1] becomes: pixels of 0 to 255, cropped."""

    size: Size = Field(description="Height and width of the pixels after cropping.")
    channels: Literal[1, 3]
    latent: int = Field(gt=0, description="Numbers drawn from N(0, 1) for one image.")
    crop: int = Field(0, ge=0, description="Pixels cut from each side.")


class PointsOutput(_Written):
    """What a generator of points in the plane answers: its own numbers, (n, 2)."""

    latent: int = Field(gt=0, description="Numbers drawn from N(0, 1) for one point.")
    modes: tuple[tuple[float, float], ...] = Field((), description="Where the data's own points gather.")
    deviation: float | None = Field(None, gt=0, description="Standard deviation of the data around each mode.")


class SeriesSpec(_Written):
    """What a forecaster reads and goes on with. Mean and deviation are training's, and lie with the weights."""

    channels: tuple[str, ...] = Field(min_length=1, description="What each value of a step is, in order.")
    inputs: tuple[str, ...] = Field((), description="What is known of each step beforehand, in order.")
    step: float = Field(1.0, gt=0, description="Time between two steps, in units of the data.")
    washout: int = Field(0, ge=0, description="Steps after which the net has forgotten that it began from nothing.")
    context: int = Field(2000, ge=1, description="Most steps of a history that are read: the last ones.")
    memorised: int | None = Field(
        None, ge=1, description="Steps from the first on that the net knows by heart, where it hears no values at all."
    )
    fits: bool = Field(default=False, description="Whether its readout can be fitted to the caller's own history.")

    @model_validator(mode="after")
    def _reads_beyond_its_washout(self) -> Self:
        if self.context <= self.washout:
            raise ValueError("context must be more than washout")
        return self


class Serving(_Written):
    """Limits of one model inside an engine."""

    max_batch: int = Field(64, ge=1, description="Most rows of a batch that interactive requests share.")
    block: int = Field(64, ge=1, description="Rows of the fixed blocks in which exact work is forwarded.")
    precision: Precision = Field("bfloat16", description="Of the least precise form in which a classifier may answer.")


class Source(_Written):
    """Where weights of others come from: never in git, fetched and checked on the user's machine."""

    url: str
    format: Literal["torch", "safetensors", "onnx"]
    sha256: str = Field(
        "", pattern="[0-9a-f]*", description="Of the file, or how it begins; empty where no publisher says it."
    )
    sha256_from: str = Field("", description="Where that was read.")
    key_map: str = Field("", description="A key of KEY_MAPS; graphs of ONNX are read in their order.")
    red_first: str = Field("", description="The first convolution of a net that saw blue first, as Caffe's did.")
    parameters: int
    licence: str
    top1: float | None = Field(None, description="Share of ILSVRC-2012's validation images, as the publisher says.")
    top5: float | None = None

    @property
    def file(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


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
    points: PointsOutput | None = None
    series: SeriesSpec | None = None
    training: dict[str, Any] = {}
    source: Source | None = None
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _says_what_its_task_needs(self) -> Self:
        if self.task == "classify" and (self.input is None or not self.labels):
            raise ValueError("a classifier needs [input] and labels")
        if self.task == "features" and self.input is None:
            raise ValueError("an extractor needs [input]")
        if self.task != "features" and (self.net == ONNX or (self.input and self.input.resample == "as-sent")):
            raise ValueError("an ONNX file, and what takes images as they are sent, is an extractor: task = 'features'")
        if self.task == "generate" and (self.output is None) == (self.points is None):
            raise ValueError("a generator needs [output] for images, or [points] for points in the plane")
        if self.task == "forecast" and (self.series is None or self.serving.block != 1):
            raise ValueError("a forecaster needs [series], and blocks of 1: no two histories are of one length")
        return self

    @property
    def latent(self) -> int:
        """How many numbers from N(0, 1) a generator makes one item of. Raises WrongTask for a model that is none."""
        drawn = self.output or self.points
        if drawn is None:
            raise WrongTask(f"A model that does {self.task} draws nothing.")
        return drawn.latent

    @property
    def generators(self) -> int:
        """How many generators share the net (MAD-GAN's); 1 for most."""
        return int(self.options.get("generators", 1))


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
    """One folder of the store. Raises InvalidManifest where its files contradict themselves."""

    def __init__(self, folder: Path) -> None:
        self.id = folder.name
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
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
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
        """The first twelve digits of the weights' sha256; `untrained` without weights."""
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
        self._names = cache(self.described_ids)  # once, for who asks for nonsense must not make the disk work

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
        if _ID.fullmatch(model_id):
            for layer in self._layers:
                if any((layer / model_id / file).is_file() for file in files or WEIGHTS):
                    return Model(layer / model_id)
            if any((layer / model_id / "model.toml").is_file() for layer in self._layers):
                raise ModelNotFound(
                    f"The model {model_id!r} has no weights here; `chapterhouse models fetch {model_id}` gets those "
                    f"that somebody publishes, `chapterhouse train {model_id}` makes them."
                )
        near = meant(model_id, self._names())
        raise ModelNotFound(f"There is no model called {model_id!r}; GET /models lists them.{near}")


def write_card(card: Card, path: Path) -> None:
    """Write `card.json`, a row of numbers on one line; a reader sees the old one or the new one, never half of it."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    text = _NUMBERS.sub(lambda row: f"[{' '.join(row[1].split())}]", text)
    write_whole(path, text.encode())
