"""The shapes of what a net sees, as JSON: what `/explain` answers, and `/models/{id}/units`."""

from pydantic import BaseModel, Field


class Scale(BaseModel):
    """What the colours of a picture stand for."""

    quantity: str = Field(description="What the numbers are, in words.")
    low: float = Field(description="What the first colour stands for.")
    high: float = Field(description="What the last colour stands for.")
    each: bool = Field(
        description="Whether each of several is drawn on a scale of its own: from its least to its largest, or, where "
        "`low` is `high` negated, evenly around 0; `low` and `high` are then those of all."
    )
    colours: tuple[str, ...] = Field(description="From `low` to `high`, evenly.")


class Told(BaseModel):
    """What is told of an explanation beside its arrays."""

    model: str
    version: str
    method: str
    layer: str | None = Field(description="The layer that was asked; null where the method asks none.")
    layers: tuple[str, ...] = Field((), description="Those that can be asked, first to last.")
    label_name: str | None = Field(None, description="occlusion, saliency: the label.")
    scale: Scale | None = Field(None, description="What the colours of the picture stand for.")
    notes: tuple[str, ...] = Field((), description="What there is to know about this image, in words.")


class Explanation(Told):
    """What `POST /explain` answers as JSON: the arrays of its method, and none of another's."""

    maps: list[list[list[float]]] = Field([], description="activations: the layer's maps, K×h×w.")
    kernels: list[list[list[list[float]]]] = Field([], description="filters: the layer's kernels, K×C×kh×kw.")
    projections: list[list[list[list[float]]]] = Field(
        [], description="deconvnet, guided: the strongest maps sent back to pixels, U×C×H×W."
    )
    units: list[int] = Field([], description="activations, deconvnet, filters, guided: which units these are of.")
    strengths: list[float] = Field([], description="deconvnet, guided: how strong each is.")
    log_odds: list[list[float]] = Field(
        [], description="occlusion: of the label against all others, behind each place of the square, h×w."
    )
    probabilities: list[list[float]] = Field([], description="occlusion: of the label, likewise.")
    square: int | None = Field(None, description="occlusion: the square's side in pixels.")
    slopes: list[list[float]] = Field([], description="saliency: what each pixel changes of the label's logit, H×W.")
    label: int | None = Field(None, description="occlusion, saliency: the label's index.")
    log_odds_whole: float | None = Field(None, description="occlusion: of the label, in the whole image.")
    probability: float | None = Field(None, description="occlusion, saliency: of the label, in the whole image.")
