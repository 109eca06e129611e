"""`model.toml`: what people decide about a model."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.errors import WrongTask
from service.exactness import Precision

TaskName = Literal["classify", "features", "generate", "forecast"]
ANSWERS: dict[TaskName, tuple[str, ...]] = {
    "classify": ("logits", "probabilities"),
    "features": (),
    "forecast": ("forecast",),
    "generate": ("samples",),
}
"""By which options of a file's manifest its output for a task is named; an extractor's is the first unless named."""
EXTRACTING: frozenset[TaskName] = frozenset({"classify", "features"})
"""The tasks of models that look at images: a classifier shows its features, too; an extractor shows nothing else."""
SIDE_MOST = 4096
"""Pixels along a side of what a net takes or draws: a description does not make others run out of memory."""
Side = Annotated[int, Field(ge=1, le=SIDE_MOST)]
Size = tuple[Side, Side]
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
LARGEST = 1e30
"""Of means and deviations, so that what is divided by one is a number still."""
ONNX, PROGRAM = "onnx", "torch-export"
FILES = {ONNX: "weights.onnx", PROGRAM: "weights.pt2"}
"""Nets that are files of others, and what such a file is called in the store."""


class Written(BaseModel):
    """A document of the store: it holds what is described here and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def each_its_own(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names by which answers tell things apart. Raises ValueError where one is empty, or is said twice."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name.strip():
            raise ValueError(f"number {place} has no name")
        if (before := places.setdefault(name, place)) != place:
            raise ValueError(f"{name[:80]!r} is number {before} and number {place}, counted from 0; call them apart")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(each_its_own)]


class ImageInput(Written):
    """What an image becomes before a net sees it: stored pixels / 255, minus `mean`, over `std`, padded."""

    size: Size = Field(description="Height and width of the stored pixels.")
    channels: Literal[1, 3]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = Field(
        None,
        gt=0,
        le=SIDE_MOST,
        description="The shorter side before the middle is cut out; without it the whole is squeezed.",
    )
    resample: Resample = Field(
        "pillow-bilinear",
        description="How images of another size become of this one: Pillow's antialiased filters round to 8 bits,"
        " those of `resampling` do not; `as-sent` resizes nothing and needs images of one size.",
    )
    pad: int = Field(0, ge=0, le=SIDE_MOST, description="Black pixels added on each side before normalising.")
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
        if not all(abs(mean) <= LARGEST for mean in self.mean) or not all(
            1 / LARGEST <= std <= LARGEST for std in self.std
        ):
            raise ValueError("mean and std are numbers that single precision holds, and no std is 0 or less")
        square_and_grey = self.channels == 1 and self.size[0] == self.size[1]
        if (self.ink is None) != (self.frame is None) or (self.ink and not square_and_grey):
            raise ValueError("ink and frame go together, and describe square images in grey")
        return self


class ImageOutput(Written):
    """What a generator's tensor in [−1, 1] becomes: pixels of 0 to 255, cropped."""

    size: Size = Field(description="Height and width of the pixels after cropping.")
    channels: Literal[1, 3]
    latent: int = Field(gt=0, description="Numbers drawn from N(0, 1) for one image.")
    crop: int = Field(0, ge=0, le=SIDE_MOST, description="Pixels cut from each side.")


class PointsOutput(Written):
    """What a generator of points in the plane answers: its own numbers, (n, 2)."""

    latent: int = Field(gt=0, description="Numbers drawn from N(0, 1) for one point.")
    modes: tuple[tuple[float, float], ...] = Field((), description="Where the data's own points gather.")
    deviation: float | None = Field(None, gt=0, description="Standard deviation of the data around each mode.")


class SeriesSpec(Written):
    """What a forecaster reads and goes on with. Mean and deviation are training's, and lie with the weights."""

    channels: Names = Field(min_length=1, description="What each value of a step is, in order.")
    inputs: Names = Field((), description="What is known of each step beforehand, in order.")
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


class Serving(Written):
    """Limits of one model inside an engine."""

    max_batch: int = Field(64, ge=1, description="Most rows of a batch that interactive requests share.")
    block: int = Field(64, ge=1, description="Rows of the fixed blocks in which exact work is forwarded.")
    precision: Precision = Field("bfloat16", description="Of the least precise form in which a classifier may answer.")


class Source(Written):
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


class Manifest(Written):
    """`model.toml`: what people decide about a model."""

    net: str
    task: TaskName
    chapter: int
    paper: str
    summary: str
    dataset: str
    options: dict[str, Any] = {}
    has_features: bool = Field(default=True, description="Of a classifier whose net is no file.")
    labels: Names = ()
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
        if self.task != "features" and self.input and self.input.resample == "as-sent":
            raise ValueError("what takes images as they are sent, is an extractor: task = 'features'")
        if self.is_file and (missing := ANSWERS[self.task]) and not any(self.options.get(name) for name in missing):
            raise ValueError(f"options of a file name the output that is its {' or '.join(missing)}")
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
    def is_file(self) -> bool:
        """Whether the net is a file of others, which nobody can look into."""
        return self.net in FILES

    @property
    def shows_features(self) -> bool:
        """Whether it turns images into features: of files those that have an output of them."""
        if self.task == "classify":
            return bool(self.options.get("features")) if self.is_file else self.has_features
        return self.task == "features"

    @property
    def generators(self) -> int:
        """How many generators share the net (MAD-GAN's); 1 for most."""
        return int(self.options.get("generators", 1))
