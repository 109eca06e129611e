"""`POST /v2/models/{model_name}/infer`: tensors to tensors, by any model."""

from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.deadlines import DeadlineDep
from service.api.dialects import body_of
from service.api.models import FORM_HEADER, form_of
from service.api.negotiation import JSON
from service.api.openapi import BINARY, OF_MODEL, refusals
from service.api.presence import watch
from service.api.routes import Endpoint
from service.api.state import State, StateDep
from service.api.v2.answering import answer
from service.api.v2.messages import OCTETS, read_message, write_message
from service.api.v2.models import MODEL, VERSION, Chosen, OfVersion
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    InvalidManifest,
    ModelFailed,
    ModelNotFound,
    UnsupportedMediaType,
)
from service.operations.inference.schemas import InferBody, InferReply
from service.store import Model

router = APIRouter(prefix="/v2", tags=["inference"], route_class=Endpoint)

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": InferReply,
        "content": {JSON: {}, OCTETS: BINARY},
        "description": "The outputs as JSON, or behind JSON as bytes where that was asked for.",
        "headers": OF_MODEL,
    },
    **refusals(ModelNotFound, InvalidManifest, BodyTooLarge, UnsupportedMediaType, ModelFailed, EngineUnavailable),
}
BODY = body_of(InferBody, **{OCTETS: BINARY})


@router.post(f"{MODEL}/infer", summary="Infer", response_class=Response, responses=ANSWERS, openapi_extra=BODY)
async def infer(request: Request, model: Chosen, state: StateDep, deadline: DeadlineDep) -> Response:
    """What a model answers to tensors, as JSON or as bytes behind JSON (`Inference-Header-Content-Length`).

    Images are stored pixels, UINT8 or FP32, or whole files as BYTES; generators take `seed` and `count`, forecasters
    `history` and `horizon`. `GET /v2/models/{model_name}` says which tensors there are.
    """
    return await _inferred(request, model, state, deadline.at)


@router.post(
    f"{VERSION}/infer", summary="Infer by a version", response_class=Response, responses=ANSWERS, openapi_extra=BODY
)
async def infer_by_version(request: Request, model: OfVersion, state: StateDep, deadline: DeadlineDep) -> Response:
    """The same by this version of the model; another one is 404."""
    return await _inferred(request, model, state, deadline.at)


async def _inferred(request: Request, model: Model, state: State, deadline: float | None) -> Response:
    asked = await read_message(request, state, model)
    kept = request.state
    with watch(request.scope, request.receive):
        found = await answer(asked, model, state, holding=kept.holding, deadline=deadline, request_id=kept.request_id)
    reply = write_message(asked, model, found)
    if model.manifest.task == "classify" and any(tensor.name != "features" for tensor in found.tensors):
        reply.headers[FORM_HEADER] = form_of(state.engines, model)
    return reply
