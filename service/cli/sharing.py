"""`chapterhouse models push` and `pull`: added models, for all services that share a storage."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.completion import models
from service.cli.reporting import fail_clearly, say
from service.errors import ConfigurationError
from service.settings import Settings, read_settings
from service.store import ModelStore
from service.versions import Versions

if TYPE_CHECKING:
    from service.storage.storage import Storage

PATIENCE_S = 60.0


@fail_clearly
def push(
    model_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Models to send.", autocompletion=models)],
) -> None:
    """Send models, with all their versions, into the storage that services share (`CHAPTERHOUSE_STORAGE_URL`)."""
    from service.store.sharing import send, send_names

    settings = read_settings()
    store, storage = ModelStore.of(settings), _shared(settings)
    for model_id in model_ids:
        name, _, version = model_id.partition("@")
        if version:
            raise ConfigurationError(f"Versions go together with their names: chapterhouse models push {name}.")
        versions = store.versions(name)
        for each in versions.there() if versions else [None]:
            model = store.get(name, version=each)
            send(model, storage)
            say(f"{model_id}  {model.version} is in {storage.name}")
        if versions:
            send_names(versions, storage)
            say(f"{model_id}  {_told(versions)} in {storage.name}")


@fail_clearly
def pull() -> None:
    """Bring the models that were sent into the shared storage here, where they are not yet or are others."""
    from service.store.sharing import bring, bring_names

    settings = read_settings()
    storage = _shared(settings)
    brought = list(bring(storage, settings.added_models_dir))
    named = list(bring_names(storage, settings.added_models_dir))
    store = ModelStore.of(settings)
    for model_id in brought:
        say(f"{model_id.partition('@')[0]}  {store.get(model_id).version} is in {settings.added_models_dir}")
    for versions in named:
        say(f"{versions.folder.name}  {_told(versions)} in {settings.added_models_dir}")
    if not brought and not named:
        say(f"{settings.added_models_dir} has all that {storage.name} has")


def _told(versions: Versions) -> str:
    """What the names of a model's versions mean."""
    return ", ".join(f"{name} is {alias.version}" for name, alias in sorted(versions.aliases.root.items()))


def _shared(settings: Settings) -> "Storage":
    from service.storage.opening import open_storage

    storage = open_storage(settings, patience_s=PATIENCE_S)
    if not storage.name:
        raise ConfigurationError("CHAPTERHOUSE_STORAGE_URL is not set: there is no storage that services share.")
    return storage
