"""Which version answers is changed while the service runs: the new one is warm before, the old one finishes after."""

import asyncio

from service.errors import WrongTask
from service.runtime.calls import EngineControl
from service.store import ModelStore
from service.versions import STABLE, Versions


async def name(
    store: ModelStore, control: EngineControl, model_id: str, alias: str, version: str, share: float = 0.0
) -> None:
    """Have an alias mean this version once every engine holds it, warm; then let go of what nobody names any more.

    Raises ModelNotFound, WrongTask for a model without versions, InvalidRequest for shares that cannot be, and what
    keeps an engine from holding it.
    """
    versions = versions_of(store, model_id)
    found = versions.resolve(version)
    versions.check_name(alias)
    versions.aliases.with_alias(alias, found, share)  # what cannot be is not loaded
    if alias != STABLE:
        _check_stable(store, model_id)
    await control.load(f"{model_id}@{found}")
    await _let_go(control, model_id, await asyncio.to_thread(versions.name, alias, found, share))


async def forget(store: ModelStore, control: EngineControl, model_id: str, alias: str) -> None:
    """Have an alias mean nothing any more. Raises ModelNotFound, WrongTask, InvalidRequest for `stable`."""
    versions = versions_of(store, model_id)
    _check_stable(store, model_id)
    await _let_go(control, model_id, await asyncio.to_thread(versions.forget, alias))


def versions_of(store: ModelStore, model_id: str) -> Versions:
    """The versions of a model. Raises ModelNotFound, and WrongTask for a model without versions."""
    versions = store.versions(model_id)
    if versions is None:
        model = store.get(model_id)
        raise WrongTask(f"{model.id} has one version, as all models that `chapterhouse models add` did not bring.")
    return versions


def _check_stable(store: ModelStore, model_id: str) -> None:
    """Raise InvalidManifest where what answers is broken: nothing else is changed before that is another."""
    model = store.get(model_id)
    _ = model.manifest, model.card


async def _let_go(control: EngineControl, model_id: str, nameless: set[str]) -> None:
    for version in sorted(nameless):
        await control.unload(f"{model_id}@{version}")
