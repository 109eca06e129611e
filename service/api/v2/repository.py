"""`/v2/repository`: which models there are, and loading and unloading them (Triton's model repository extension)."""

from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from service.api.bodies import read_body
from service.api.dialects import body_of
from service.api.models import load_model, unload_model
from service.api.openapi import refusals
from service.api.problems import validation_problem
from service.api.routes import Endpoint
from service.api.state import State, StateDep
from service.api.v2.models import ModelName
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    InvalidManifest,
    ModelNotFound,
    PackageMissing,
    UntrustedWeights,
)
from service.operations.inference.repository import list_models
from service.operations.inference.schemas import ChangeRequest, IndexRequest, ModelIndex
from service.operations.inference.tensors import wrong

router = APIRouter(prefix="/v2/repository", tags=["inference"], route_class=Endpoint)

Body = TypeVar("Body", bound=BaseModel)
HARMLESS = "unload_dependents"
"""No model has any."""


@router.post(
    "/index",
    summary="Index of models",
    response_description="Every model, and whether it is ready.",
    responses=refusals(BodyTooLarge),
    openapi_extra=body_of(IndexRequest),
)
async def index(request: Request, state: StateDep) -> ModelIndex:
    """Every model that has weights, or with `ready` those that are warm."""
    asked = await _read(request, state, IndexRequest)
    return ModelIndex.model_validate(list_models(state.store, state.engines, ready=asked.ready))


@router.post(
    "/models/{model_name}/load",
    summary="Load in v2",
    response_class=Response,
    response_description="It is warm in every engine.",
    responses=refusals(
        ModelNotFound, InvalidManifest, UntrustedWeights, PackageMissing, EngineUnavailable, BodyTooLarge
    ),
    openapi_extra=body_of(ChangeRequest),
)
async def load_by_name(request: Request, model_name: ModelName, state: StateDep) -> Response:
    """Load and warm a model in every engine, and keep it through restarts; answers when it is ready.

    It is loaded as the store has it: a configuration or files that are sent along are refused.
    """
    await _check_change(request, state)
    await load_model(model_name, state)
    return Response(status_code=200)


@router.post(
    "/models/{model_name}/unload",
    summary="Unload in v2",
    response_class=Response,
    response_description="No engine holds it any more.",
    responses=refusals(ModelNotFound, EngineUnavailable, BodyTooLarge),
    openapi_extra=body_of(ChangeRequest),
)
async def unload_by_name(request: Request, model_name: ModelName, state: StateDep) -> Response:
    """Let go of a model in every engine once what waits for it is done."""
    await _check_change(request, state)
    await unload_model(model_name, state)
    return Response(status_code=200)


async def _check_change(request: Request, state: State) -> None:
    """Raises InvalidRequest for what would have to be done beside loading or unloading."""
    asked = await _read(request, state, ChangeRequest)
    for name in asked.parameters or ():
        if name != HARMLESS:
            raise wrong(name, "models are loaded as the store has them; nothing else is taken from a request")


async def _read(request: Request, state: State, kind: type[Body]) -> Body:
    """A body of JSON that may be left out. Raises InvalidRequest, BodyTooLarge."""
    length = request.headers.get("content-length", "").encode("latin-1")
    data = await read_body(request.receive, limit=state.settings.body_limit_bytes, content_length=length)
    try:
        return kind.model_validate(await state.readers.document(data) if data.strip() else {})
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error
