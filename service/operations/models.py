"""How the models of the store are described: what their files say, and whether an engine holds them."""

from typing import Any

from service.runtime.calls import EngineStatus, LoadedModel
from service.schemas import BrokenModel, ModelDetail, ModelList, ModelSummary
from service.store import Model, ModelStore


def describe_models(store: ModelStore, engines: EngineStatus) -> ModelList:
    """Every model that has weights, and what is wrong with those whose files are."""
    held, (models, broken) = engines.models(), store.sound(store.ids())
    return ModelList(
        models=[ModelSummary.model_validate(_summary(store, model, held.get(model.id))) for model in models],
        broken=[BrokenModel(id=name, reason=error.detail) for name, error in broken.items()],
    )


def describe_model(store: ModelStore, engines: EngineStatus, model_id: str, version: str | None = None) -> ModelDetail:
    """One model, with its card. Raises ModelNotFound, InvalidManifest."""
    model = store.get(model_id, version=version)
    held = engines.models().get(model.id)
    card = model.card.model_dump(mode="json") if model.card else None
    return ModelDetail.model_validate({**_summary(store, model, held), "net": model.manifest.net, "card": card})


def forget_replaced(store: ModelStore, engines: EngineStatus) -> None:
    """Read the files of those models again that engines hold in another version."""
    for model_id, loaded in engines.models().items():
        store.refresh_unless(model_id, loaded.version)


def _summary(store: ModelStore, model: Model, held: LoadedModel | None) -> dict[str, Any]:
    manifest, card, versions = model.manifest, model.card, store.versions(model.name)
    return {
        "id": model.name,
        "task": manifest.task,
        "version": model.version,
        "versions": [model.version] if versions is None else versions.there(),
        "aliases": {} if versions is None else versions.aliases.model_dump(),
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
