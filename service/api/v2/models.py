"""What the Open Inference Protocol tells of the server and of each model: metadata, readiness, configuration, work."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from service.api.health import ready
from service.api.openapi import refusals
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import Draining, InvalidManifest, ModelNotFound, NotReady
from service.operations.inference.repository import (
    check_ready,
    configure,
    describe_server,
    describe_tensors,
    find_model,
    sound_models,
)
from service.operations.inference.schemas import (
    ModelConfiguration,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    Statistics,
)
from service.operations.inference.statistics import NAMES, describe_work, samples_of
from service.store import Model

router = APIRouter(prefix="/v2", tags=["inference"], route_class=Endpoint)

OF_MODEL = refusals(ModelNotFound, InvalidManifest)
MODEL, VERSION = "/models/{model_name}", "/models/{model_name}/versions/{model_version}"

ModelName = Annotated[str, Path(description="A model of the store, as the index lists it.", examples=["gan-ring"])]
ModelVersion = Annotated[
    str, Path(description="Its version, the first digits of its weights' sha256.", examples=["cb200cd03554"])
]


async def _named(model_name: ModelName, state: StateDep) -> Model:
    return find_model(state.store, model_name)


async def _of_version(model_name: ModelName, model_version: ModelVersion, state: StateDep) -> Model:
    return find_model(state.store, model_name, model_version)


async def _chosen(model_name: ModelName, state: StateDep) -> Model:
    return state.store.chosen(model_name)


Chosen = Annotated[Model, Depends(_chosen)]
"""The version that answers this time: `stable`, or another one that has a share."""
Named = Annotated[Model, Depends(_named)]
OfVersion = Annotated[Model, Depends(_of_version)]


@router.get("", summary="The server", response_description="Its name, version and extensions.")
async def show_server() -> ServerMetadata:
    """What this server is, and which of Triton's extensions it answers."""
    return ServerMetadata.model_validate(describe_server())


@router.get("/health/live", summary="Liveness in v2", response_description="It answers.")
async def show_live() -> ServerLive:
    """200 while this front answers at all."""
    return ServerLive(live=True)


@router.get(
    "/health/ready",
    summary="Readiness in v2",
    response_description="It is ready for work.",
    responses=refusals(NotReady, Draining),
)
async def show_ready(request: Request, state: StateDep) -> ServerReady:
    """200 when every wanted model is loaded and warm; 503 before that, and from SIGTERM on."""
    await ready(request, state)
    return ServerReady(ready=True)


@router.get("/models/stats", summary="All work", response_description="The work of every model.")
async def show_all_statistics(state: StateDep) -> Statistics:
    """How often and how long each model of the store has worked since the service started, in Triton's words."""
    return await _statistics(state, sound_models(state.store))


@router.get(MODEL, summary="Tensors", response_description="What it takes and gives.", responses=OF_MODEL)
async def show_tensors(model: Named, state: StateDep) -> ModelMetadata:
    """Which tensors a model takes and gives."""
    return ModelMetadata.model_validate(describe_tensors(state.store, model))


@router.get(VERSION, summary="Tensors of a version", response_description="As above.", responses=OF_MODEL)
async def show_version_tensors(model: OfVersion, state: StateDep) -> ModelMetadata:
    """Which tensors this version of a model takes and gives."""
    return await show_tensors(model, state)


@router.get(
    f"{MODEL}/ready",
    summary="A model's readiness",
    response_description="It is warm.",
    responses={**OF_MODEL, **refusals(NotReady)},
)
async def show_model_ready(model: Named, state: StateDep) -> ModelReady:
    """200 while an engine holds the model, warm; 503 where its first request would have to wait for it."""
    check_ready(model, state.engines)
    return ModelReady(name=model.name, ready=True)


@router.get(
    f"{VERSION}/ready",
    summary="A version's readiness",
    response_description="It is warm.",
    responses={**OF_MODEL, **refusals(NotReady)},
)
async def show_version_ready(model: OfVersion, state: StateDep) -> ModelReady:
    """The same of this version."""
    return await show_model_ready(model, state)


@router.get(
    f"{MODEL}/config",
    summary="Configuration",
    response_description="As Triton's.",
    responses=OF_MODEL,
    response_model_exclude_none=True,
)
async def show_configuration(model: Named) -> ModelConfiguration:
    """A model's configuration, as far as Triton's clients ask: its tensors and its largest batch."""
    return ModelConfiguration.model_validate(configure(model))


@router.get(
    f"{VERSION}/config",
    summary="A version's configuration",
    response_description="As Triton's.",
    responses=OF_MODEL,
    response_model_exclude_none=True,
)
async def show_version_configuration(model: OfVersion) -> ModelConfiguration:
    """The same of this version."""
    return ModelConfiguration.model_validate(configure(model))


@router.get(f"{MODEL}/stats", summary="A model's work", response_description="Counts and times.", responses=OF_MODEL)
async def show_statistics(model: Named, state: StateDep) -> Statistics:
    """How often and how long a model has worked since the service started, in Triton's words."""
    return await _statistics(state, [model])


@router.get(
    f"{VERSION}/stats", summary="A version's work", response_description="Counts and times.", responses=OF_MODEL
)
async def show_version_statistics(model: OfVersion, state: StateDep) -> Statistics:
    """The same of this version."""
    return await _statistics(state, [model])


async def _statistics(state: StateDep, models: list[Model]) -> Statistics:
    samples = samples_of(await state.collecting.samples(NAMES))
    return Statistics.model_validate({"model_stats": [describe_work(model, samples) for model in models]})
