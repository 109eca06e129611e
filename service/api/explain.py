"""`POST /explain`: how a net sees, as a picture beside the image or as arrays."""

from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request, Response

from service.api.bodies import read_body
from service.api.classify import RAW_TYPES
from service.api.gate import Watch, deadline_of
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import State, StateDep
from service.drawing.explanation import draw_explanation
from service.errors import InvalidRequest, UnsupportedMediaType
from service.imaging import Pixels, encode_png
from service.runtime.calls import Call, Option
from service.store import Model
from service.tasks.explain import ARRAYS, Explain, Method

router = APIRouter(tags=["models"], responses=PROBLEM_RESPONSES)

ASKED: dict[Method, tuple[str, ...]] = {
    "activations": ("layer", "unit"),
    "deconvnet": ("layer", "unit"),
    "filters": ("layer", "unit"),
    "guided": ("layer", "unit"),
    "occlusion": ("label", "square"),
    "saliency": ("label",),
}
"""What a question may name, by its method."""
LARGEST = 2**31 - 1
"""Numbers have to cross the link; what a model has fewer of, the engine says."""

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/explain",
    summary="Explain",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "application/json": {}}}},
    openapi_extra=IMAGE_BODY,
)
async def explain(
    request: Request,
    state: StateDep,
    model: Annotated[str | None, Query(description="A classifier; the default one unless given.")] = None,
    method: Annotated[Method, Query(description="What is asked.")] = "saliency",
    layer: Annotated[
        str | None, Query(description="As `GET /models/{id}` names it; the last with maps, of filters the first.")
    ] = None,
    unit: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="One map of the layer; the strongest, or all.")
    ] = None,
    label: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="A label's index; the likeliest unless given.")
    ] = None,
    square: Annotated[
        int | None,
        Query(ge=1, le=LARGEST, description="Side in pixels of what occludes; a third of the image's unless given."),
    ] = None,
) -> Response:
    """What a net sees in one image (raw body): a PNG beside the image, or `application/json` with the arrays.

    `deconvnet` sends the strongest activations back to pixels (Zeiler, Fergus 2014), and `guided` only through units
    that answered (Springenberg et al. 2015), for nets that do not pool; `occlusion` maps the label's probability behind
    a grey square, `saliency` the slope of its logit; `activations` and `filters` show a layer's maps and kernels.
    `filters` needs no image.
    """
    _check_asked(method, layer=layer, unit=unit, label=label, square=square)
    chosen = state.store.get(model or state.settings.default_classifier, task="classify")
    image = await _read_image(request, state, chosen, required=method != "filters")
    options: dict[str, Option] = {
        "label": -1 if label is None else label,
        "layer": layer or _usual_layer(chosen, method),
        "method": method,
        "square": square or 0,
        "unit": -1 if unit is None else unit,
    }
    with Watch(request.receive):
        arrays = await state.engines.submit(
            Call(chosen.id, "explain", options=tuple(options.items())),
            [image],
            deadline=deadline_of(request.headers.get("x-deadline-ms")),
            request_id=request.state.request_id,
        )
    rows = [array[0] for array in arrays]
    headers = {"x-model": chosen.id, "x-model-version": chosen.version}
    if "application/json" not in request.headers.get("accept", ""):
        picture = encode_png(draw_explanation(method, rows, image[0]))
        return Response(picture, media_type="image/png", headers=headers)
    reply = {"model": chosen.id, "version": chosen.version, "method": method, "layer": options["layer"] or None}
    plain = (row if np.ndim(row) == 0 else np.ascontiguousarray(row) for row in rows)
    named = dict(zip(ARRAYS[method], plain, strict=True))
    content = orjson.dumps({**reply, **named}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json", headers=headers)


def _check_asked(method: Method, **given: str | int | None) -> None:
    """Refuse what the method would pass over."""
    errors = [
        {"field": name, "message": f"{method} does not ask for it"}
        for name, value in given.items()
        if value is not None and name not in ASKED[method]
    ]
    if errors:
        raise InvalidRequest("; ".join(f"{error['field']}: {error['message']}" for error in errors), errors=errors)


async def _read_image(request: Request, state: State, model: Model, *, required: bool) -> Pixels:
    """The body's image as one row of the model's size; black where there may be none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.encode("latin-1") not in RAW_TYPES:
        raise UnsupportedMediaType(f"{kind} is not read here; send one image (image/png, image/jpeg, …).")
    length = request.headers.get("content-length", "").encode("latin-1")
    data = await read_body(request.receive, limit=state.settings.body_limit_bytes, content_length=length)
    if not data and not required:
        return np.zeros((1, *model.input.size, model.input.channels), np.uint8)
    return Explain().prepare(data, model.input, limit_pixels=state.settings.image_limit_pixels)


def _usual_layer(model: Model, method: Method) -> str:
    """The layer that is asked about where none is named, so that the answer can say which; the net's own choice."""
    if "layer" not in ASKED[method] or model.card is None:
        return ""
    names = [layer.name for layer in model.card.layers if layer.parameters and len(layer.output) == 3]
    return names[0 if method == "filters" else -1] if names else ""
