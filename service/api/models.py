"""`/models`: what the store holds, what is loaded, and loading without a restart."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.api.openapi import refusals
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import (
    EngineUnavailable,
    InvalidManifest,
    ModelNotFound,
    PackageMissing,
    UntrustedWeights,
)
from service.exactness import PLAIN
from service.operations.models import describe_model, describe_models
from service.runtime.calls import EngineStatus
from service.schemas import ModelDetail, ModelList
from service.store import Model

router = APIRouter(prefix="/models", tags=["models"], route_class=Endpoint)


ModelId = Annotated[str, Path(description="A model of the store, as `GET /models` lists it.", examples=["gan-ring"])]


def headers_of(model: Model) -> dict[str, str]:
    """The headers of an answer that say which model gave it."""
    return {"x-model": model.id, "x-model-version": model.version}


def form_header(engines: EngineStatus, model: Model) -> dict[str, str]:
    """The header of labels that says in which form they were computed; the same until engines tell something new."""
    held = engines.models().get(model.id)
    return {"x-model-form": PLAIN if held is None else held.form}


@router.get("", summary="List the models", response_description="Every model of the store.")
async def list_models(state: StateDep) -> ModelList:
    """Every model of the store, loaded or not, and apart from them those whose files are wrong."""
    return describe_models(state.store, state.engines)


@router.get(
    "/{model_id}",
    summary="One model",
    response_description="The model, with its card.",
    responses=refusals(ModelNotFound, InvalidManifest),
)
async def show_model(model_id: ModelId, state: StateDep) -> ModelDetail:
    """One model, with its card: the table of layers, the recipe, the versions that trained it."""
    return describe_model(state.store, state.engines, model_id)


@router.post(
    "/{model_id}/load",
    summary="Load a model",
    status_code=204,
    response_class=Response,
    response_description="It is warm in every engine.",
    responses=refusals(ModelNotFound, InvalidManifest, UntrustedWeights, PackageMissing, EngineUnavailable),
)
async def load_model(model_id: ModelId, state: StateDep) -> None:
    """Load and warm a model in every engine, and keep it through restarts; answers when it is ready.

    Where the deadline passes before that, loading goes on.
    """
    state.store.refresh(model_id)
    state.store.get(model_id)
    await state.control.load(model_id)


@router.post(
    "/{model_id}/unload",
    summary="Unload a model",
    status_code=204,
    response_class=Response,
    response_description="No engine holds it any more.",
    responses=refusals(ModelNotFound, EngineUnavailable),
)
async def unload_model(model_id: ModelId, state: StateDep) -> None:
    """Let go of a model in every engine once what waits for it is done."""
    state.store.get(model_id)
    await state.control.unload(model_id)
