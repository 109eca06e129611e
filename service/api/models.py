"""`/models`: what the store holds, what is loaded, and loading without a restart."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from service.api.openapi import refusals
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import (
    DiskFull,
    EngineUnavailable,
    InvalidManifest,
    ModelNotFound,
    PackageMissing,
    UntrustedWeights,
    WrongTask,
)
from service.exactness import PLAIN
from service.operations.models import describe_model, describe_models
from service.operations.versions import forget, name
from service.runtime.calls import EngineStatus
from service.schemas import ModelDetail, ModelList
from service.store import Model
from service.versions import WORD, Alias

router = APIRouter(prefix="/models", tags=["models"], route_class=Endpoint)


ModelId = Annotated[str, Path(description="A model of the store, as `GET /models` lists it.", examples=["gan-ring"])]

FORM_HEADER = "x-model-form"
"""Says in which form labels were computed."""

Version = Annotated[
    str | None,
    Query(
        description="A version of the model or a name of one, such as `canary`; unless given `stable`, and each name of"
        " another one for its share of requests.",
        examples=["stable"],
    ),
]


def headers_of(model: Model) -> dict[str, str]:
    """The headers of an answer that say which model gave it."""
    return {"x-model": model.name, "x-model-version": model.version}


def form_of(engines: EngineStatus, model: Model) -> str:
    """The form in which labels are computed; the same until engines tell something new."""
    held = engines.models().get(model.id)
    return PLAIN if held is None else held.form


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
async def show_model(model_id: ModelId, state: StateDep, version: Version = None) -> ModelDetail:
    """One model, with its card: the table of layers, the recipe, the versions that trained it."""
    return describe_model(state.store, state.engines, model_id, version)


AliasName = Annotated[
    str,
    Path(pattern=f"^{WORD}$", description="A name of versions: `stable`, `canary` or another.", examples=["canary"]),
]


@router.put(
    "/{model_id}/aliases/{alias}",
    summary="Name a version",
    response_description="The model as it is now.",
    responses=refusals(
        ModelNotFound, InvalidManifest, WrongTask, UntrustedWeights, PackageMissing, EngineUnavailable, DiskFull
    ),
)
async def name_version(model_id: ModelId, alias: AliasName, body: Alias, state: StateDep) -> ModelDetail:
    """Have a name mean another version: that is loaded and warm in every engine first, then it answers.

    The version that had the name is let go once what waits for it is done, unless it has another name. Naming the old
    version again is the way back.
    """
    await name(state.store, state.control, model_id, alias, body.version, body.share)
    return describe_model(state.store, state.engines, model_id)


@router.delete(
    "/{model_id}/aliases/{alias}",
    summary="Forget a name",
    response_description="The model as it is now.",
    responses=refusals(ModelNotFound, InvalidManifest, WrongTask, EngineUnavailable),
)
async def forget_name(model_id: ModelId, alias: AliasName, state: StateDep) -> ModelDetail:
    """Have a name mean nothing any more; its share is that of `stable` again, which cannot be forgotten."""
    await forget(state.store, state.control, model_id, alias)
    return describe_model(state.store, state.engines, model_id)


@router.post(
    "/{model_id}/load",
    summary="Load a model",
    status_code=204,
    response_class=Response,
    response_description="It is warm in every engine.",
    responses=refusals(ModelNotFound, InvalidManifest, UntrustedWeights, PackageMissing, EngineUnavailable),
)
async def load_model(model_id: ModelId, state: StateDep, version: Version = None) -> None:
    """Load and warm a model in every engine, and keep it through restarts; answers when it is ready.

    Where the deadline passes before that, loading goes on; where no engine is there, the next one loads it.
    """
    state.store.refresh(model_id)
    await state.control.load(state.store.get(model_id, version=version).id)


@router.post(
    "/{model_id}/unload",
    summary="Unload a model",
    status_code=204,
    response_class=Response,
    response_description="No engine holds it any more.",
    responses=refusals(ModelNotFound, EngineUnavailable),
)
async def unload_model(model_id: ModelId, state: StateDep, version: Version = None) -> None:
    """Let go of a model in every engine once what waits for it is done."""
    await state.control.unload(state.store.get(model_id, version=version).id)
