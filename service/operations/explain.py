"""What a classifier sees in an image, through any engine; and the request for it, understood."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from service.drawing.explanation import draw_explanation
from service.drawing.scales import scale_of
from service.errors import InvalidRequest
from service.imaging import Pixels, encode_png
from service.operations.captions import caption_of, label_of
from service.runtime.calls import Array, Call, EngineClient
from service.store import Model
from service.tasks.classify import Prepared
from service.tasks.explain import Explain
from service.tasks.methods import ARRAYS, Method, usual_layer

ASKED: dict[Method, tuple[str, ...]] = {
    "activations": ("layer", "unit"),
    "deconvnet": ("layer", "unit"),
    "filters": ("layer", "unit"),
    "guided": ("layer", "unit"),
    "occlusion": ("label", "square"),
    "saliency": ("label",),
}
"""The options of each method."""
LARGEST = 2**31 - 1
"""Numbers have to cross the link; what a model has fewer of, the engine says."""
MAPS = 3
"""Sizes of a layer that answers maps: how many, their height, their width."""
LEAST = {"label": 0, "square": 1, "unit": 0}


@dataclass(frozen=True, slots=True)
class Inspection:
    """A request for what a classifier sees in an image, understood."""

    model: Model
    task: Explain
    as_is: bool = False
    """Whether the image is taken as it is, not as the model's training images were drawn."""

    @classmethod
    def of(
        cls,
        model: Model,
        method: Method = "saliency",
        *,
        layer: str | None = None,
        unit: int | None = None,
        label: int | None = None,
        square: int | None = None,
        as_is: bool = False,
    ) -> Self:
        """What is asked of this model; None where the net chooses. Raises InvalidRequest."""
        if method not in ASKED:
            raise InvalidRequest.of_field("method", f"must be one of {', '.join(ASKED)}")
        if model.manifest.is_file and method != "occlusion":
            raise InvalidRequest.of_field("method", f"{model.id} is a file that shows no layers; occlusion needs none.")
        _check_options(method, {"layer": layer, "unit": unit, "label": label, "square": square})
        task = Explain(
            method,
            layer=layer or _usual_layer(model, method),
            unit=-1 if unit is None else unit,
            label=-1 if label is None else label,
            square=square or 0,
            temperature=model.calibration.temperature if model.calibration else 1.0,
        )
        return cls(model, task, as_is)

    def prepare(self, data: bytes, *, limit_pixels: int) -> Prepared:
        """One image file as pixels of the model's size; black where there is none and none is needed.

        Raises UnreadableImage.
        """
        spec = self.model.input
        if not data and self.task.method == "filters":
            return Prepared(np.zeros((1, *spec.size, spec.channels), np.uint8))
        return self.task.prepare(data, spec, limit_pixels=limit_pixels, as_is=self.as_is)

    async def ask(
        self, engine: EngineClient, image: Prepared, *, deadline: float | None = None, request_id: str = ""
    ) -> dict[str, Array]:
        """What the method answers about the image, by name.

        Raises the ServiceError that the engine met.
        """
        call = Call(self.model.id, "explain", options=tuple(asdict(self.task).items()))
        arrays = await engine.submit(call, [image.pixels], deadline=deadline, request_id=request_id)
        return dict(zip(ARRAYS[self.task.method], (array[0] for array in arrays), strict=True))

    def draw(self, arrays: Mapping[str, Array], image: Prepared) -> Pixels:
        """The image and what was answered about it, with model, layer and scale written below."""
        return draw_explanation(self.task.method, arrays, image.pixels[0], caption_of(self.model, self.task, arrays))

    def document(self, arrays: Mapping[str, Array], image: Prepared) -> dict[str, Any]:
        """The members of the answer as JSON: which model and layer were asked, of what, the arrays and their scale."""
        asked = {"model": self.model.name, "version": self.model.version, "method": self.task.method}
        layers = {"layer": self.task.layer or None, "layers": tuple(sides_of(self.model)) if self.task.layer else ()}
        label = label_of(self.model, arrays)
        told = {"scale": scale_of(self.task.method, arrays, label).model_dump(), "notes": image.notes}
        told["steps"] = [_as_url(step) for step in image.steps]
        told["image"] = np.ascontiguousarray(image.pixels[0])
        named = {"label_name": label} if label else {}
        plain = {name: array if np.ndim(array) == 0 else np.ascontiguousarray(array) for name, array in arrays.items()}
        return {**asked, **layers, **told, **named, **plain}


def _as_url(pixels: Pixels) -> str:
    return f"data:image/png;base64,{b64encode(encode_png(pixels)).decode()}"


def _check_options(method: Method, given: Mapping[str, str | int | None]) -> None:
    """Refuse options that the method would pass over, and numbers out of range. Raises InvalidRequest."""
    errors = []
    for name, value in given.items():
        if value is not None and name not in ASKED[method]:
            errors.append({"field": name, "message": f"{method} does not ask for it"})
        elif isinstance(value, int) and not LEAST[name] <= value <= LARGEST:
            errors.append({"field": name, "message": f"must be a whole number from {LEAST[name]} to {LARGEST}"})
    if errors:
        raise InvalidRequest("; ".join(f"{error['field']}: {error['message']}" for error in errors), errors=errors)


def sides_of(model: Model, *, weighted: bool = False) -> dict[str, int]:
    """The shorter side of the maps of each layer that has some, or of those with weights, as the model's card says."""
    layers = model.card.layers if model.card else ()
    maps = (layer for layer in layers if len(layer.output) == MAPS and (layer.parameters or not weighted))
    return {layer.name: min(layer.output[1:]) for layer in maps}


def _usual_layer(model: Model, method: Method) -> str:
    """The layer that is asked about where none is named, so that the answer can say which; the net's own choice."""
    return usual_layer(method, sides_of(model, weighted=True)) if "layer" in ASKED[method] else ""
