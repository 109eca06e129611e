"""How the models of the store are described: what their files say, and whether an engine holds them."""

from typing import Any

from service.errors import InvalidManifest
from service.runtime.calls import EngineStatus, LoadedModel
from service.schemas import BrokenModel, ModelDetail, ModelList, ModelSummary
from service.store import Model, ModelStore


def describe_models(store: ModelStore, engines: EngineStatus) -> ModelList:
    """Every model that has weights, and what is wrong with those whose files are."""
    held, models, broken = engines.models(), [], []
    for name in store.ids():
        try:
            models.append(ModelSummary.model_validate(_summary(store.get(name), held.get(name))))
        except InvalidManifest as error:
            broken.append(BrokenModel(id=name, reason=error.detail))
    return ModelList(models=models, broken=broken)


def describe_model(store: ModelStore, engines: EngineStatus, model_id: str) -> ModelDetail:
    """One model, with its card. Raises ModelNotFound, InvalidManifest."""
    model, held = store.get(model_id), engines.models().get(model_id)
    card = model.card.model_dump(mode="json") if model.card else None
    return ModelDetail.model_validate({**_summary(model, held), "net": model.manifest.net, "card": card})


def forget_replaced(store: ModelStore, engines: EngineStatus) -> None:
    """Read the files of those models again that engines hold in another version."""
    for model_id, loaded in engines.models().items():
        store.refresh_unless(model_id, loaded.version)


def _summary(model: Model, held: LoadedModel | None) -> dict[str, Any]:
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
        "loaded": held is not None and held.state == "ready",
    }
