"""`POST /explain`: how a net sees, as a picture beside the image or as arrays."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from service.api.bodies import FORM_KIND, IMAGE_BODY, IMAGE_BODY_TYPES, boundary_of, read_body
from service.api.deadlines import DeadlineDep
from service.api.images import JSON_KIND, described, read_json, read_one_of_form
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
from service.operations.explain import LARGEST, Inspection
from service.tasks.classify import Prepared
from service.tasks.methods import Method

router = APIRouter(tags=["models"], route_class=Endpoint)

PNG = "image/png"
FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {"image": BINARY["schema"]},
        "additionalProperties": False,
    }
}
BODIES = {**IMAGE_BODY, FORM_KIND.decode(): FORM, JSON: described({}, several=False)}
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
    model: Annotated[
        str | None, Query(description="A classifier; the default one unless given.", examples=["lenet5-mnist"])
    ] = None,
    version: Version = None,
    method: Annotated[Method, Query(description="What is asked.", examples=["occlusion"])] = "saliency",
    layer: Annotated[
        str | None,
        Query(
            description="As `GET /models/{id}` names it; of filters the first, of activations the last with maps of 8 "
            "pixels a side, else the last with maps.",
            examples=["C3"],
        ),
    ] = None,
    unit: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="One map of the layer; the strongest, or all.", examples=[0])
    ] = None,
    label: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="A label's index; the likeliest unless given.", examples=[7])
    ] = None,
    square: Annotated[
        int | None,
        Query(
            ge=1,
            le=LARGEST,
            description="Side in pixels of what occludes; a third of the image's unless given.",
            examples=[9],
        ),
    ] = None,
    as_is: Annotated[  # noqa: FBT002 - a field of the query
        bool,
        Query(description="Take the image as it is, not as the model's training images were drawn.", examples=[False]),
    ] = False,
) -> Response:
    """What a net sees in one image (raw body, form or JSON): a PNG beside it, or `application/json` with the arrays.

    `deconvnet` sends the strongest activations back to pixels (Zeiler, Fergus 2014), and `guided` only through units
    that answered (Springenberg et al. 2015), for nets that do not pool; `occlusion` maps the label's probability behind
    a grey square, `saliency` the slope of its logit; `activations` and `filters` show a layer's maps and kernels.
    `filters` needs no image. Model, layer and scale stand below the picture, and in the document.
    """
    chosen = choose_model(state.store, state.settings, model, "classify", version=version)
    inspection = Inspection.of(chosen, method, layer=layer, unit=unit, label=label, square=square, as_is=as_is)
    image = await _image(request, state, inspection)
    with watch(request.scope, request.receive):
        arrays = await inspection.ask(state.engines, image, deadline=deadline.at, request_id=request.state.request_id)
    headers = headers_of(chosen)
    if kind == PNG:
        picture = await asyncio.to_thread(lambda: encode_png(inspection.draw(arrays, image)))
        return Response(picture, media_type=PNG, headers=headers)
    content = orjson.dumps(inspection.document(arrays, image), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type=JSON, headers=headers)


async def _image(request: Request, state: State, inspection: Inspection) -> Prepared:
    """The image that is asked about, or black where the method needs none. Raises UnreadableImage, Overloaded."""
    data = await _read(request, state)
    if not data:
        return inspection.prepare(data, limit_pixels=state.readers.limit_pixels)
    return await state.readers.image(data, inspection.model.input, as_is=inspection.as_is)


async def _read(request: Request, state: State) -> bytes:
    """The image's bytes. Raises UnsupportedMediaType for a type that is no image's, InvalidRequest for several."""
    content_type = request.headers.get("content-type", "").encode("latin-1")
    kind = content_type.partition(b";")[0].strip().lower()
    length, limit = request.headers.get("content-length", "").encode("latin-1"), state.settings.body_limit_bytes
    if kind == JSON_KIND:
        holding = request.state.holding
        sent = await read_json(request.receive, holding, state.readers, limit=limit, content_length=length)
        if len(sent.images) > 1 or sent.fields:
            raise InvalidRequest("One image is explained at a time, and the query says the rest.")
        return sent.images[0]
    if kind == FORM_KIND:
        return await read_one_of_form(request.receive, boundary_of(content_type), limit=limit, content_length=length)
    if kind not in IMAGE_BODY_TYPES:
        raise UnsupportedMediaType(
            f"{kind.decode('latin-1')} is not read here; send one image (image/png, image/jpeg, …), a form of it, or "
            "JSON with it in base64."
        )
    return await read_body(request.receive, limit=limit, content_length=length)
