"""`chapterhouse models push` and `pull`: added models, for all services that share a storage."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.completion import models
from service.cli.reporting import fail_clearly, say
from service.errors import ConfigurationError
from service.settings import Settings, read_settings
from service.store import ModelStore

if TYPE_CHECKING:
    from service.storage.storage import Storage

PATIENCE_S = 60.0


@fail_clearly
def push(
    model_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Models to send.", autocompletion=models)],
) -> None:
    """Send models into the storage that services share (`CHAPTERHOUSE_STORAGE_URL`)."""
    from service.store.sharing import send

    settings = read_settings()
    store, storage = ModelStore.of(settings), _shared(settings)
    for model_id in model_ids:
        model = store.get(model_id)
        if model.id != model.name:
            raise ConfigurationError(
                f"{model.name} comes in versions, which are not shared; add its files on each machine."
            )
        send(model, storage)
        say(f"{model_id}  {model.version} is in {storage.name}")


@fail_clearly
def pull() -> None:
    """Bring the models that were sent into the shared storage here, where they are not yet or are others."""
    from service.store.sharing import bring

    settings = read_settings()
    storage = _shared(settings)
    brought = list(bring(storage, settings.added_models_dir))
    store = ModelStore.of(settings)
    for model_id in brought:
        say(f"{model_id}  {store.get(model_id).version} is in {settings.added_models_dir}")
    if not brought:
        say(f"{settings.added_models_dir} has all that {storage.name} has")


def _shared(settings: Settings) -> "Storage":
    from service.storage.opening import open_storage

    storage = open_storage(settings, patience_s=PATIENCE_S)
    if not storage.name:
        raise ConfigurationError("CHAPTERHOUSE_STORAGE_URL is not set: there is no storage that services share.")
    return storage
