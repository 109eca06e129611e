"""The shapes of what a net sees, as JSON: what `/explain` answers, and `/models/{id}/units`."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.notebooks import Row, Shown


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
    steps: tuple[str, ...] = Field(
        (), description="How the image looked after each of `notes`: a small PNG each, as a data URL."
    )


class Explanation(Told):
    """What `POST /explain` answers as JSON: the arrays of its method, and none of another's."""

    image: list[list[list[int]]] = Field(
        [], description="The image as the model was given it, after all that `notes` tell: 0 to 255, H×W×C."
    )
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


class UnitLayer(BaseModel):
    """A layer of whose units there are pictures."""

    name: str
    units: int = Field(description="How many there are.")
    size: tuple[int, int] = Field(description="Height and width of their maps.")
    field: tuple[int, int] = Field(description="Height and width of what one of them sees of the image, at most.")


class ImagePart(BaseModel):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class StrongImage(BaseModel):
    """One of the images to which a unit answers most."""

    image: int = Field(description="Which of the test images it is.")
    label: str = Field(description="Its true label.")
    strength: float = Field(description="The unit's answer, before what follows the layer, at its strongest place.")
    place: tuple[int, int] = Field(description="Row and column of that place in the unit's map.")
    box: ImagePart = Field(description="What the unit sees of the image from there.")
    patch: list[list[list[int]]] = Field(description="Those pixels, 0 to 255, H×W×C.")
    projection: list[list[list[float]]] = Field(
        description="The answer sent back to these pixels, H×W×C; nothing of one below 0."
    )


class Unit(BaseModel):
    """A unit, and the images to which it answers most."""

    unit: int
    strongest: list[StrongImage] = Field(description="Strongest first, nine at most.")


class UnitsReply(Shown, BaseModel):
    """What `GET /models/{id}/units` answers."""

    model: str
    version: str
    method: str
    dataset: str = Field(description="Whose images were looked at.")
    images: int = Field(description="How many they were.")
    layer: str = Field(description="The layer whose units these are.")
    layers: list[UnitLayer] = Field(description="Those that can be asked, first to last.")
    field: tuple[int, int] = Field(description="Height and width of what a unit of the layer sees, at most.")
    scale: Scale = Field(description="What the shades of a projection stand for.")
    units: list[Unit]

    def rows(self) -> Sequence[Row]:
        """One for each unit."""
        return [
            {
                "unit": one.unit,
                "strongest": one.strongest[0].strength,
                "images": ", ".join(f"{image.label} ({image.image})" for image in one.strongest),
            }
            for one in self.units
        ]

    def brief(self) -> str:
        """Of which layer, and how many."""
        return f"{len(self.units)} units of {self.layer}; {self.model} {self.version}"
