"""`/models`: what the store holds, what is loaded, and loading without a restart."""

from fastapi import APIRouter, Response

from service.api.access import LoopbackOnly
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import StateDep
from service.operations.models import describe_model, describe_models
from service.schemas import ModelDetail, ModelList

router = APIRouter(prefix="/models", tags=["models"], responses=PROBLEM_RESPONSES)


@router.get("", summary="List the models")
async def list_models(state: StateDep) -> ModelList:
    """Every model of the store, loaded or not; one whose files cannot be read is left out and logged."""
    return ModelList(models=describe_models(state.store, state.engines))


@router.get("/{model_id}", summary="One model")
async def show_model(model_id: str, state: StateDep) -> ModelDetail:
    """One model, with its card: the table of layers, the recipe, the versions that trained it."""
    return describe_model(state.store, state.engines, model_id)


@router.post("/{model_id}/load", summary="Load a model", status_code=204, response_class=Response)
async def load_model(model_id: str, state: StateDep, _local: LoopbackOnly) -> None:
    """Load and warm a model in every engine, and keep it through restarts; answers when it is ready."""
    state.store.refresh(model_id)
    state.store.get(model_id)
    await state.control.load(model_id)


@router.post("/{model_id}/unload", summary="Unload a model", status_code=204, response_class=Response)
async def unload_model(model_id: str, state: StateDep, _local: LoopbackOnly) -> None:
    """Let go of a model in every engine once what waits for it is done."""
    state.store.get(model_id)
    await state.control.unload(model_id)
