"""To what the units of a net answer: their strongest images, sent back to pixels through any engine."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from service.drawing.scales import scale_of
from service.drawing.units import Patch, UnitPatches, draw_units
from service.errors import InvalidRequest, UnitsNotFound
from service.explanations import Scale
from service.imaging import Pixels
from service.operations.captions import PROJECTED
from service.operations.strongest import STRONGEST, Strongest, StrongImage, UnitLayer
from service.runtime.calls import Array, Call, EngineClient
from service.settings import Settings
from service.store import Model
from service.tasks.explain import Explain
from service.tasks.methods import Projecting, usual_layer

MOST = 25
"""Units of one answer."""
FIGURES = 4
"""Of the strongest projection in a document, as decimal places: more nobody sees."""
FIRST = 9
"""Units of an answer where none is named: the first ones."""


class Projected(NamedTuple):
    """One of a unit's strongest images, and the part that the unit sees of it: pixels, and projection, (H, W, C)."""

    image: StrongImage
    patch: Pixels
    projection: Array


@dataclass(frozen=True, slots=True)
class UnitImages:
    """A request for the strongest images of some units of a layer, understood."""

    model: Model
    strongest: Strongest
    layer: UnitLayer
    units: tuple[int, ...]
    method: Projecting = "deconvnet"

    @classmethod
    def of(
        cls,
        model: Model,
        settings: Settings,
        *,
        layer: str | None = None,
        units: Sequence[int] | None = None,
        method: Projecting = "deconvnet",
    ) -> Self:
        """What is asked of this model; the usual layer of activations, and its first units, unless they are named.

        Raises InvalidRequest, UnitsNotFound.
        """
        if method not in PROJECTED:
            raise InvalidRequest.of_field("method", f"must be one of {', '.join(PROJECTED)}")
        if model.card is not None and not any(len(row.output) == len("CHW") for row in model.card.layers):
            raise UnitsNotFound(f"No layer of {model.id} answers with maps, of whose units there would be pictures.")
        strongest = Strongest.of(settings, model)
        layers = strongest.layers
        name = layer or usual_layer("activations", {one.name: min(one.size) for one in layers.values()})
        if name not in layers:
            known = ", ".join(layers)
            raise InvalidRequest.of_field("layer", f"there is no layer {name[:100]!r} with units; there are {known}")
        chosen = layers[name]
        asked = tuple(dict.fromkeys(range(min(FIRST, chosen.units)) if units is None else units))
        if not 0 < len(asked) <= MOST or not all(0 <= unit < chosen.units for unit in asked):
            message = f"must be 1 to {MOST} whole numbers from 0 to {chosen.units - 1}"
            raise InvalidRequest.of_field("unit", message)
        return cls(model, strongest, chosen, asked, method)

    async def ask(
        self, engine: EngineClient, *, deadline: float | None = None, request_id: str = ""
    ) -> list[list[Projected]]:
        """Of each unit its strongest images with what is sent back of them. Raises what the engine met."""
        found = await asyncio.to_thread(lambda: [self.strongest.of_unit(self.layer, unit) for unit in self.units])
        answered = []
        for unit, images in zip(self.units, found, strict=True):  # one after another, so that others get in between
            task = Explain(self.method, layer=self.layer.name, unit=unit)
            call = Call(self.model.id, "explain", self.model.version, tuple(asdict(task).items()))
            pixels = np.stack([image.pixels for image in images])
            projections, *_ = await engine.submit(call, [pixels], deadline=deadline, request_id=request_id)
            shown = np.moveaxis(projections[:, 0], 1, -1)  # (n, H, W, C)
            answered.append(
                [
                    Projected(image, image.box.of(image.pixels), image.box.of(one))
                    for image, one in zip(images, shown, strict=True)
                ]
            )
        return answered

    def scale(self, answered: Sequence[Sequence[Projected]]) -> Scale:
        """What the shades of the projections stand for."""
        every = np.concatenate([one.projection.ravel() for images in answered for one in images])
        return scale_of(self.method, {"projections": every})

    def document(self, answered: Sequence[Sequence[Projected]]) -> dict[str, Any]:
        """The members of the answer as JSON."""
        told, layer, scale = self.strongest.description, self.layer, self.scale(answered)
        decimals = FIGURES - math.ceil(math.log10(scale.high or 1.0))
        labels = self.model.manifest.labels
        return {
            "model": self.model.name,
            "version": self.model.version,
            "method": self.method,
            "dataset": told.dataset,
            "images": told.images,
            "layer": layer.name,
            "layers": [
                {
                    "name": one.name,
                    "units": one.units,
                    "size": one.size,
                    "field": one.field_within(self.model.input.size),
                }
                for one in told.layers
            ],
            "field": layer.field_within(self.model.input.size),
            "scale": scale.model_dump(),
            "units": [
                {
                    "unit": unit,
                    "strongest": [
                        {
                            "image": one.image.number,
                            "label": labels[one.image.label],
                            "strength": one.image.strength,
                            "place": one.image.place,
                            "box": one.image.box._asdict(),
                            "patch": np.ascontiguousarray(one.patch),
                            "projection": np.ascontiguousarray(one.projection.round(decimals)),
                        }
                        for one in images
                    ],
                }
                for unit, images in zip(self.units, answered, strict=True)
            ],
        }

    def draw(self, answered: Sequence[Sequence[Projected]]) -> Pixels:
        """Projections and patches of every unit, with model, layer and scale written below."""
        told, field = self.strongest.description, self.layer.field_within(self.model.input.size)
        sees = "{}×{}".format(*field)
        explained = (
            f"On the right of each what it sees of the {STRONGEST} images to which it answers most, of"
            f" {told.images:,} of {told.dataset}; on the left its answer {PROJECTED[self.method]}; above, its answers."
        )
        lines = (
            f"{self.model.name} {self.model.version}: units of layer {self.layer.name}, which see {sees} pixels",
            explained,
        )
        units = [
            UnitPatches(
                unit,
                images[0].image.strength,
                images[-1].image.strength,
                [Patch(one.patch, one.projection, *self._offset(one.image)) for one in images],
            )
            for unit, images in zip(self.units, answered, strict=True)
        ]
        return draw_units(units, field, lines, self.scale(answered))

    def _offset(self, image: StrongImage) -> tuple[int, int]:
        """Where the part that is seen begins in all that is shown: that of a field, or the image where that is less."""
        layer, whole = self.layer, self.model.input.size
        first = [start + at * step for at, start, step in zip(image.place, layer.starts, layer.steps, strict=True)]
        top, left = (
            begin if side >= length else begin - before
            for begin, side, length, before in zip(image.box[:2], layer.field, whole, first, strict=True)
        )
        return top, left
