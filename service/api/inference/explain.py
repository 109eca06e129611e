"""`POST /explain`: how a net sees, as a picture beside the image or as arrays."""

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from service.api.bodies import FORM_KIND, IMAGE_BODY, IMAGE_BODY_TYPES, boundary_of, read_body
from service.api.deadlines import DeadlineDep
from service.api.inference.images import JSON_KIND, Sent, described, read_json, read_one_of_form
from service.api.inference.inspections import OPTIONS, AsIs, Asked, Asking, Classifier, Label, Layer, Square, Unit
from service.api.models import Version, headers_of
from service.api.negotiation import JSON, MediaType
from service.api.openapi import BINARY, OF_MODEL, refusals
from service.api.presence import watch
from service.api.routes import Endpoint
from service.api.state import State, StateDep
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    InvalidRequest,
    ModelFailed,
    ModelNotFound,
    UnreadableImage,
    UnsupportedMediaType,
    WrongTask,
)
from service.explanations import Explanation
from service.imaging import encode_png
from service.operations.choosing import choose_model
from service.operations.explain import Inspection
from service.tasks.classify import Prepared

router = APIRouter(tags=["models"], route_class=Endpoint)

PNG = "image/png"
FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {"image": BINARY["schema"], **OPTIONS},
        "additionalProperties": False,
    }
}
BODIES = {**IMAGE_BODY, FORM_KIND.decode(): FORM, JSON: described(OPTIONS, several=False)}
EXPLANATION: dict[str, Any] = {
    "model": Explanation,
    "content": {PNG: BINARY, JSON: {}},
    "description": "The image and what the method answered beside it; or the arrays themselves.",
    "headers": OF_MODEL,
}


@router.post(
    "/explain",
    summary="Explain",
    response_class=Response,
    responses={
        200: EXPLANATION,
        **refusals(ModelNotFound, WrongTask, BodyTooLarge, UnsupportedMediaType, UnreadableImage),
        **refusals(ModelFailed, EngineUnavailable),
    },
    openapi_extra={"requestBody": {"required": False, "content": BODIES}},
)
async def explain(
    request: Request,
    state: StateDep,
    kind: MediaType,
    deadline: DeadlineDep,
    model: Classifier = None,
    version: Version = None,
    method: Asking = "saliency",
    layer: Layer = None,
    unit: Unit = None,
    label: Label = None,
    square: Square = None,
    as_is: AsIs = False,  # noqa: FBT002 - a field of the query
) -> Response:
    """What a net sees in one image (raw body, form or JSON): a PNG beside it, or `application/json` with the arrays.

    `deconvnet` sends the strongest activations back to pixels (Zeiler, Fergus 2014), and `guided` only through units
    that answered (Springenberg et al. 2015), for nets that do not pool; `occlusion` maps the label's probability behind
    a grey square, `saliency` the slope of its logit; `activations` and `filters` show a layer's maps and kernels.
    `filters` needs no image. JSON and a form may say beside the image what the query does. Model, layer and scale stand
    below the picture, and in the document.
    """
    asked = Asked(
        model=model, version=version, method=method, layer=layer, unit=unit, label=label, square=square, as_is=as_is
    )
    inspection, image = await _understand(request, state, asked)
    with watch(request.scope, request.receive):
        arrays = await inspection.ask(state.engines, image, deadline=deadline.at, request_id=request.state.request_id)
    headers = headers_of(inspection.model)
    if kind == PNG:
        picture = await asyncio.to_thread(lambda: encode_png(inspection.draw(arrays, image)))
        return Response(picture, media_type=PNG, headers=headers)
    content = orjson.dumps(inspection.document(arrays, image), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type=JSON, headers=headers)


async def _understand(request: Request, state: State, asked: Asked) -> tuple[Inspection, Prepared]:
    """What is asked, and the image that it is asked about, black where the method needs none. Raises ServiceError."""
    content_type = request.headers.get("content-type", "").encode("latin-1")
    kind = content_type.partition(b";")[0].strip().lower()
    if kind in (JSON_KIND, FORM_KIND):
        choose_model(state.store, state.settings, asked.model, "classify")  # what cannot be answered need not be read
        sent = await _read(request, state, None if kind == JSON_KIND else boundary_of(content_type))
        if len(sent.images) != 1:
            raise InvalidRequest(f"There are {len(sent.images) or 'no'} images; one is explained at a time.")
        inspection = _inspection(request, state, asked.beside(sent.fields, request.query_params.keys()))
        return inspection, await _prepared(sent.images[0], state, inspection)
    if kind not in IMAGE_BODY_TYPES:
        raise UnsupportedMediaType(
            f"{kind.decode('latin-1')} is not read here; send one image (image/png, image/jpeg, …), a form of it, or "
            "JSON with it in base64."
        )
    inspection = _inspection(request, state, asked)
    data = await read_body(request.receive, limit=state.settings.body_limit_bytes, content_length=_length(request))
    return inspection, await _prepared(data, state, inspection)


async def _read(request: Request, state: State, boundary: bytes | None) -> Sent:
    """What a form brings, or without a boundary a body of JSON. Raises InvalidRequest, BodyTooLarge, Overloaded."""
    limit, length, receive = state.settings.body_limit_bytes, _length(request), request.receive
    if boundary is not None:
        return await read_one_of_form(receive, boundary, OPTIONS, limit=limit, content_length=length)
    return await read_json(receive, request.state.holding, state.readers, OPTIONS, limit=limit, content_length=length)


def _length(request: Request) -> bytes:
    return request.headers.get("content-length", "").encode("latin-1")


def _inspection(request: Request, state: State, asked: Asked) -> Inspection:
    chosen = choose_model(state.store, state.settings, asked.model, "classify", version=asked.version)
    request.state.model = chosen.name
    return Inspection.of(chosen, **asked.model_dump(exclude={"model", "version"}))


async def _prepared(data: bytes, state: State, inspection: Inspection) -> Prepared:
    """Raises UnreadableImage, Overloaded."""
    if not data:
        return inspection.prepare(data, limit_pixels=state.readers.limit_pixels)
    return await state.readers.image(data, inspection.model.input, as_is=inspection.as_is, shown=True)
