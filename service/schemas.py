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
