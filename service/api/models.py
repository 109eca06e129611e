"""`/models`: what the store holds, what is loaded, and loading without a restart."""

import logging
from typing import Any

from fastapi import APIRouter, Response

from service.api.access import LoopbackOnly
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import StateDep
from service.errors import InvalidManifest
from service.schemas import ModelDetail, ModelList, ModelSummary
from service.store import Model

log = logging.getLogger(__name__)
router = APIRouter(prefix="/models", tags=["models"], responses=PROBLEM_RESPONSES)


def _summary(model: Model, loaded: bool) -> dict[str, Any]:  # noqa: FBT001 - a column of the answer
    manifest, card = model.manifest, model.card
    return {
        "id": model.id,
        "task": manifest.task,
        "version": model.version,
        "chapter": manifest.chapter,
        "paper": manifest.paper,
        "summary": manifest.summary,
        "dataset": manifest.dataset,
        "input": manifest.input.model_dump() if manifest.input else None,
        "output": manifest.output.model_dump() if manifest.output else None,
        "points": manifest.points.model_dump() if manifest.points else None,
        "generators": manifest.generators if manifest.task == "generate" else None,
        "series": manifest.series.model_dump() if manifest.series else None,
        "labels": list(manifest.labels),
        "parameters": card.parameters if card else None,
        "macs": card.macs if card else None,
        "scores": {name: score.model_dump() for name, score in card.scores.items()} if card else {},
        "loaded": loaded,
    }


@router.get("", summary="List the models")
async def list_models(state: StateDep) -> ModelList:
    """Every model of the store, loaded or not; one whose files cannot be read is left out and logged."""
    held = state.engines.models()
    ready = {name for name, loaded in held.items() if loaded.state == "ready"}
    models = []
    for name in state.store.ids():
        try:
            models.append(ModelSummary.model_validate(_summary(state.store.get(name), name in ready)))
        except InvalidManifest:
            log.exception("%s is in the store and cannot be listed", name)
    return ModelList(models=models)


@router.get("/{model_id}", summary="One model")
async def show_model(model_id: str, state: StateDep) -> ModelDetail:
    """One model, with its card: the table of layers, the recipe, the versions that trained it."""
    model = state.store.get(model_id)
    held = state.engines.models().get(model_id)
    card = model.card.model_dump(mode="json") if model.card else None
    return ModelDetail.model_validate(
        {**_summary(model, held is not None and held.state == "ready"), "net": model.manifest.net, "card": card}
    )


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
