"""The shapes of what goes over HTTP, shared by the service, its client and its documentation."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SEED_LIMIT = 2**63 - 1


class ModelSummary(BaseModel):
    """One row of `GET /models`."""

    id: str
    task: str
    version: str = Field(description="The first digits of the weights' sha256.")
    chapter: int
    paper: str
    summary: str
    dataset: str
    input: dict[str, Any] | None
    output: dict[str, Any] | None
    labels: list[str]
    parameters: int | None
    macs: int | None = Field(description="Multiply-accumulates of one item.")
    scores: dict[str, Any]
    loaded: bool = Field(description="Whether an engine holds it, warm.")


class ModelList(BaseModel):
    """What `GET /models` answers."""

    models: list[ModelSummary]


class ModelDetail(ModelSummary):
    """What `GET /models/{id}` answers."""

    net: str
    card: dict[str, Any] | None


class GenerateRequest(BaseModel):
    """What `POST /generate` is asked for."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="A model of task `generate`; the default generator unless given.")
    count: int = Field(16, ge=1, description="How many images.")
    seed: int | None = Field(
        None,
        ge=0,
        le=SEED_LIMIT,
        description="Image i of a seed is the same whatever the count; drawn at random, and told, unless given.",
    )
    format: Literal["png", "zip", "npz"] = Field(
        "png", description="One grid, an archive of PNG files, or `images` uint8 (N, H, W, C)."
    )


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
        None, description="The classifier that looks at the images; the reference's own, or the default one."
    )
    thresholds: str | None = Field(None, description="What must hold, such as `fid<=30,inception_score>=8`.")
    seed: int = Field(0, ge=0, le=SEED_LIMIT, description="Of everything that is drawn: halves, splits.")
    intervals: bool = Field(default=True, description="Whether uncertainty is computed where the metric allows.")
    skip_unreadable: bool = Field(
        default=False, description="Whether unreadable files are a warning instead of an error."
    )


class EvaluationState(BaseModel):
    """Where an evaluation stands: what `202` and `GET /evaluations` tell."""

    id: str
    status: Literal["queued", "running", "finished", "failed", "cancelled"]
    progress: float = Field(description="0 to 1.")
    created: str = Field(description="ISO 8601, UTC.")
    ended: str | None
    problem: dict[str, Any] | None = Field(description="Why it failed: problem details.")


class EvaluationList(BaseModel):
    """What `GET /evaluations` answers, newest first."""

    evaluations: list[EvaluationState]


class ReferenceSummary(BaseModel):
    """One row of `GET /references`."""

    name: str
    dataset: str
    extractor: str
    count: int
    dim: int
    sha256: str


class ReferenceList(BaseModel):
    """What `GET /references` answers."""

    references: list[ReferenceSummary]
