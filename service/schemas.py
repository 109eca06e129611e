"""The shapes of what goes over HTTP, shared by the service, its client and its documentation."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
)
from pydantic_core import PydanticCustomError

from service.forecast_words import ForecastChoice, HeldOut
from service.notebooks import Row, Shown
from service.problem import Problem
from service.tables import Table
from service.versions import Alias

LARGEST = 2**63 - 1
"""Of whole numbers."""
SEED_LIMIT = LARGEST
SHOWN = 8
"""Of many answers, those that a short line tells."""
VERSION = (
    "A version of the model or a name of one, such as `canary`; `stable`, or each name for its share, unless given."
)
SampleFormat = Literal["json", "npy", "npz", "png", "svg", "zip"]
Point = tuple[float | None, float | None]
"""Null for what is no finite number."""


def _no_word(value: Any) -> Any:
    """A number as JSON has them. Raises PydanticCustomError for words and truths, which pydantic would make some of."""
    if isinstance(value, str | bool):
        raise PydanticCustomError("number", "Input should be a number")
    return value


Natural = Annotated[int, Field(ge=0, le=LARGEST), BeforeValidator(_no_word)]
Count = Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(_no_word)]
Inconclusive = Literal["fail", "pass"]
"""What a check counts as that the samples do not decide."""


class ModelSummary(Shown, BaseModel):
    """One row of `GET /models`."""

    columns: ClassVar = ("id", "task", "summary", "loaded")
    words: ClassVar = "{0.id} {0.version}: {0.task}"

    id: str
    task: str
    version: str = Field(description="The first digits of the weights' sha256, or the name of a version of its own.")
    versions: list[str] = Field([], description="All that are there; another one is asked for by `version`.")
    aliases: dict[str, Alias] = Field(
        {}, description="Names of versions; `stable` answers where none is asked for, others for their share."
    )
    chapter: int
    paper: str
    summary: str
    dataset: str
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    points: dict[str, Any] | None = Field(
        description="What a generator of points in the plane draws, and the data's modes."
    )
    generators: int | None = Field(description="How many generators share the net, of which one can be chosen.")
    series: dict[str, Any] | None = Field(description="What a forecaster reads: channels, inputs, step, washout.")
    labels: list[str]
    parameters: int | None
    macs: int | None = Field(description="Multiply-accumulates of one item.")
    scores: dict[str, Any]
    loaded: bool = Field(description="Whether an engine holds it, warm.")
    set_aside: bool = Field(
        default=False,
        description="Whether it gets no work for a while, because an engine hung in a forward pass of it.",
    )


class BrokenModel(BaseModel):
    """A model of the store whose files are wrong."""

    id: str
    reason: str = Field(description="What is wrong, and in which file.")


class ModelList(BaseModel):
    """What `GET /models` answers."""

    models: list[ModelSummary]
    broken: list[BrokenModel] = Field(
        [], description="Those whose files are wrong: they can be neither shown nor loaded."
    )


class ModelDetail(ModelSummary):
    """What `GET /models/{id}` answers."""

    net: str
    card: dict[str, Any] | None


class Label(BaseModel):
    """One of the likeliest labels of an image."""

    label: str
    index: int
    probability: float


class Prediction(BaseModel):
    """What one image is, or why it cannot be read."""

    name: str | None = None
    labels: tuple[Label, ...] = ()
    strangeness: float | None = Field(
        None,
        description="How little the image is like those of the model's dataset, by the method on the model's card; "
        "null where the model is not calibrated.",
    )
    notes: tuple[str, ...] = Field((), description="What there is to know about this image, in words.")
    error: Problem | None = Field(None, description="Why it cannot be read; there are no labels then.")


class Classification(Shown, BaseModel):
    """What `POST /classify` answers."""

    model: str
    version: str
    calibrated: bool = Field(
        default=False, description="Whether probabilities are at the temperature on the model's card, or the net's own."
    )
    strangeness_limit: float | None = Field(
        None, description="What the strangeness of 5 % of the model's own test images exceeds."
    )
    predictions: tuple[Prediction, ...]

    def rows(self) -> Sequence[Row]:
        """One for each label, for what kept an image from being read, and for each note."""
        found: list[Row] = []
        for place, prediction in enumerate(self.predictions):
            image = {"image": prediction.name or place}
            if prediction.error is not None:
                found.append({**image, "label": prediction.error["detail"]})
            found += [{**image, "label": one.label, "probability": one.probability} for one in prediction.labels]
            found += [{**image, "label": note} for note in prediction.notes]
        return found

    def brief(self) -> str:
        """The likeliest label of each image, of the first few."""
        likeliest = [prediction.labels[0].label if prediction.labels else "?" for prediction in self.predictions]
        return f"{', '.join(likeliest[:SHOWN])}{', …' if len(likeliest) > SHOWN else ''}; {self.model} {self.version}"


class Interpolation(BaseModel):
    """Paths between samples."""

    model_config = ConfigDict(extra="forbid")

    steps: Annotated[int, Field(ge=2, le=256), BeforeValidator(_no_word)] = Field(
        description="Samples of a path, both ends included."
    )


class GenerateRequest(BaseModel):
    """What `POST /generate` is asked for."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="A model of task `generate`; the default generator unless given.")
    version: str | None = Field(None, description=VERSION)
    count: Count | None = Field(
        None,
        description="How many samples; 16 images, 1,000 points or 4 paths of an interpolation unless given.",
    )
    seed: Natural | None = Field(
        None,
        description="Sample i of a seed is the same whatever the count; drawn at random, and told, unless given.",
    )
    format: SampleFormat | None = Field(
        None,
        description="Images: `png` (one grid), `zip` (PNG files), `npz` or `npy` (uint8 N×H×W×C). Points: `json`, "
        "`png` or `svg` (a plot), `npz` or `npy` (float32 N×2). Unless given, what `Accept` prefers, or the first.",
    )
    interpolate: Interpolation | None = Field(
        None,
        description="Paths along the sphere instead of single samples: path p leads from latent 2p of the seed to "
        "latent 2p + 1, each a row of the grid.",
    )
    generator: Natural | None = Field(
        None,
        description="Of a model with several generators (MAD-GAN), the one that draws; all, evenly, unless given.",
    )


class PointsReply(BaseModel):
    """What `POST /generate` answers as JSON: points in the plane."""

    model: str
    version: str
    seed: int
    modes: list[tuple[float, float]] = Field(description="Where the data's own points gather.")
    deviation: float | None = Field(description="Standard deviation of the data around each mode.")
    points: list[Point]


class RecordingReply(BaseModel):
    """What `GET /models/{id}/recording` answers."""

    model: str
    version: str
    modes: list[tuple[float, float]] = Field(description="Where the data's own points gather.")
    deviation: float | None = Field(description="Standard deviation of the data around each mode.")
    steps: list[int] = Field(description="The iterations that were looked at.")
    samples: list[list[Point]] = Field(description="At each of them the points of the same latents.")


class ForecastRequest(BaseModel):
    """What `POST /forecast` is asked for."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="A model of task `forecast`; the default forecaster unless given.")
    version: str | None = Field(None, description=VERSION)
    history: Table = Field(description="The series so far, oldest step first; one channel may be a flat list.")
    horizon: Count = Field(description="How many steps to go on.")
    fit: StrictBool = Field(
        default=False,
        description="Whether the model's reservoir is given a readout of its own for this very history, of any kind.",
    )
    inputs: Table | None = Field(
        None, description="What is known of every step of history and horizon beforehand; for models that hear inputs."
    )
    level: Annotated[float, Field(ge=0.5, le=0.99), BeforeValidator(_no_word)] = Field(
        0.95, description="Share of values that the interval should hold."
    )
    season: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_no_word)] | None = Field(
        None,
        description="Steps after which the history comes again, 1 for none; looked for unless given. Only with `fit`.",
    )


class Interval(BaseModel):
    """Where the values will lie, by how far earlier forecasts of the same history were off; in the forecast's shape."""

    level: float
    low: list[Any]
    high: list[Any]


class ForecastReply(Shown, BaseModel):
    """What `POST /forecast` answers."""

    model: str
    version: str
    fit: bool
    forecast: list[Any] = Field(description="Time first, channels second; flat where the history was.")
    interval: Interval | None = Field(description="None where the history is too short to measure it.")
    choice: ForecastChoice | None = Field(None, description="What was chosen with `fit`; null without.")
    held_out: HeldOut | None = Field(None, description="Null where there was nothing to measure it by.")
    warnings: list[str]

    def rows(self) -> Sequence[Row]:
        """One for each step."""
        ends = {} if self.interval is None else {"low": self.interval.low, "high": self.interval.high}
        columns = {"forecast": self.forecast, **ends}
        return [
            {"step": step + 1, **{name: values[step] for name, values in columns.items()}}
            for step in range(len(self.forecast))
        ]

    def brief(self) -> str:
        """How many steps, by which model."""
        level = "" if self.interval is None else f" with intervals of {self.interval.level:.0%}"
        return f"{len(self.forecast):,} steps{level}; {self.model} {self.version}"


class EvaluationRequest(BaseModel):
    """The fields of `POST /evaluate` beside its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference_name: str | None = Field(None, description="A stored reference, instead of the file `reference`.")
    metrics: tuple[str, ...] | None = Field(
        None, description="Names, separated by commas; the default ones unless given."
    )
    options: dict[str, dict[str, str]] = Field(
        {}, description="Options of a metric, sent as fields such as `mmd.sigma`."
    )
    features: str | None = Field(
        None, description="The extractor that looks at the images; the reference's own, or the default one."
    )
    thresholds: str | None = Field(None, description="What must hold, such as `fid<=1.5,one_nn<=0.7`.")
    inconclusive: Inconclusive | None = Field(
        None,
        description="What a check counts as whose interval lies on both sides of its threshold, or that finds a score"
        " worse than the baseline's where neither has an error to weigh the difference with; its value decides unless"
        " given.",
    )
    baseline: str | None = Field(
        None,
        max_length=1000,
        description="An earlier evaluation's id: no metric may be worse, judged on the difference's interval.",
    )
    seed: int = Field(0, ge=0, le=SEED_LIMIT, description="Of everything that is drawn: halves, splits.")
    intervals: bool = Field(default=True, description="Whether uncertainty is computed where the metric allows.")
    skip_unreadable: bool = Field(
        default=False, description="Whether unreadable files are a warning instead of an error."
    )


class EvaluationState(Shown, BaseModel):
    """Where an evaluation stands: what `202` and `GET /evaluations` tell."""

    columns: ClassVar = ("id", "kind", "status", "progress", "created", "ended")
    words: ClassVar = "{0.id}: {0.status}, {0.progress:.0%}"

    id: str
    kind: Literal["evaluation", "reference"] = Field(
        "evaluation", description="What it ends in: a report, or a stored reference."
    )
    status: Literal["queued", "running", "finished", "failed", "cancelled"]
    progress: float = Field(description="0 to 1.")
    created: str = Field(description="ISO 8601, UTC.")
    ended: str | None
    problem: Problem | None = Field(description="Why it failed.")


class EvaluationList(BaseModel):
    """What `GET /evaluations` answers, newest first."""

    evaluations: list[EvaluationState]


class ReferenceRequest(BaseModel):
    """The fields of `PUT /references/{name}` beside its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="What to call it.")
    features: str | None = Field(
        None,
        description="The extractor that looks at the images, or that made the features or statistics which are sent; "
        "the default one for images, the caller's own for others.",
    )
    dataset: str = Field("uploaded", max_length=200, description="What the samples are, for people.")
    seed: int = Field(0, ge=0, le=SEED_LIMIT, description="Of the choice of the samples whose features are kept.")
    skip_unreadable: bool = Field(
        default=False, description="Whether unreadable files are passed over instead of being an error."
    )


class ReferenceSummary(Shown, BaseModel):
    """One row of `GET /references`."""

    columns: ClassVar = ("name", "dataset", "count", "dim", "extractor")
    words: ClassVar = "{0.name}: {0.dataset} seen by {0.extractor}"

    name: str
    dataset: str
    extractor: str = Field(description="A model's id, or `caller` for features that were sent without one.")
    weights_sha256: str
    count: int | None = Field(description="Samples behind the statistics; null where nobody said.")
    dim: int
    sha256: str
    shipped: bool = Field(description="Whether it came with the store, and cannot be removed.")
    digests: bool = Field(
        default=False,
        description="Whether digests of all samples are kept, so that exact copies are counted; earlier versions "
        "kept none.",
    )
    floors: tuple[str, ...] = Field(
        (),
        description="Metrics whose noise floor was measured with other real samples; that of the others comes from "
        "parts of the reference itself.",
    )


class ReferenceList(BaseModel):
    """What `GET /references` answers."""

    references: list[ReferenceSummary]


class Liveness(BaseModel):
    """What `GET /health/live` answers."""

    status: Literal["live"]


class Readiness(BaseModel):
    """What `GET /health/ready` answers."""

    status: Literal["ready"]
    models: list[str] = Field(description="The models that are warm.")
    impaired: tuple[str, ...] = Field(
        (), description="What does not work at the moment while the rest does, each part with its reason."
    )
