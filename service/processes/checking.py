"""What `chapterhouse serve --check` says: what would run here, and what would keep it from that. It starts nothing."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from service.addresses import is_loopback, without_secrets
from service.errors import ConfigurationError, DatabaseUnavailable, ServiceError
from service.evaluation.queue.database import Database
from service.evaluation.queue.keys import Keys
from service.evaluation.upkeep.check import findings
from service.files import file_sha256
from service.machine import cores, memory_bytes
from service.processes.supervisor import bind
from service.runtime.cards.naming import devices_of, driver_of, duties_of, is_card
from service.runtime.duties import Duty
from service.runtime.peers import Meeting
from service.settings import Settings, doubts_about_environment
from service.storage.opening import FILE, SETTING, shared_name
from service.store import ModelStore
from service.telemetry.traces import missing_package

GIBIBYTE = 1 << 30
LITTLE_DISK_SHARE = 0.05
BUSY_S = 2.0
GRPC = ("grpc", "grpc_health", "google.protobuf")
"""What the extra `grpc` brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and whether the service could not start for it."""

    words: str
    prevents: bool


def plan_of(settings: Settings) -> Iterator[str]:
    """What would run, a line each."""
    devices, _ = devices_of(settings.devices)
    engines = [name if duty is not Duty.FORECASTS else f"{name} for forecasts" for name, duty in duties_of(devices)]
    database = Database.of(settings).name if settings.database_url else str(settings.database)
    yield f"address      http://{settings.host}:{settings.port}{settings.root_path}"
    yield f"machine      {_many(cores(), 'core')}, {memory_bytes() / GIBIBYTE:.1f} GiB of memory"
    yield f"fronts       {settings.fronts}, each with {_many(settings.readers, 'reader')} when needed"
    yield f"engines      {len(engines)}: {', '.join(engines)}; {_many(settings.engine_threads, 'thread')} on a CPU"
    if settings.grpc_port is not None:
        yield f"grpc         {settings.host}:{settings.grpc_port}"
    yield f"evaluators   {settings.evaluators}"
    if settings.engines_address:
        yield f"peers        ask the engines from {settings.engines_address} on"
    yield f"models       {', '.join(dict.fromkeys(settings.wanted_models))} at once, others when they are asked for"
    yield f"store        {settings.shipped_models_dir}, and {settings.added_models_dir} before it"
    yield f"state        {settings.state}"
    yield f"storage      {without_secrets(settings.storage_url) or settings.state}"
    yield f"database     {without_secrets(database)}"
    yield f"logs         {settings.log_level} and above as {settings.log_format}; a line for {_requests(settings)}"
    yield f"traces       {without_secrets(settings.traces_url) or 'none'}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _requests(settings: Settings) -> str:
    if settings.log_requests == "all":
        return "every request"
    slow = f" or took more than {settings.slow_request_s:g} s" if settings.slow_request_s else ""
    return f"requests that failed{slow}"


def check(settings: Settings, root: Path = Path("/")) -> Iterator[Finding]:
    """What is wrong, and what is doubtful."""
    for doubt in doubts_about_environment():
        yield Finding(doubt, prevents=False)
    yield from _check_devices(settings, root)
    yield from _check_port(settings)
    yield from _check_state(settings)
    yield from _check_meeting(settings)
    yield from _check_storage(settings)
    yield from _check_store(settings)
    yield from _check_database(settings)
    if settings.traces_url and (missing := missing_package()):
        yield Finding(missing, prevents=True)


def _check_devices(settings: Settings, root: Path) -> Iterator[Finding]:
    devices, doubt = devices_of(settings.devices, root)
    if doubt:
        yield Finding(doubt, prevents=False)
    cards = [name for name in devices if is_card(name)]
    if cards and driver_of(root) is None:
        named = f"CHAPTERHOUSE_DEVICES names {', '.join(cards)}"
        yield Finding(f"{named}, and nothing here looks like a driver for NVIDIA's cards.", prevents=False)


def _check_port(settings: Settings) -> Iterator[Finding]:
    other = [] if settings.grpc_port is None else [settings.grpc_port]
    if other and not all(map(_is_installed, GRPC)):
        yield Finding("CHAPTERHOUSE_GRPC_PORT needs `pip install 'chapterhouse[grpc]'`.", prevents=True)
    for port in (settings.port, *other):
        try:
            bind(settings.model_copy(update={"port": port})).close()
        except ConfigurationError as error:
            yield Finding(str(error), prevents=True)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is a part of
        return False


def _check_folder(setting: str, folder: Path) -> Iterator[Finding]:
    """Whether a folder can be written, or made where it is not there."""
    there = next(known for known in (folder, *folder.parents) if known.exists())
    try:
        probe = there / ".chapterhouse-check"
        probe.touch()
        probe.unlink()
    except OSError as error:
        yield Finding(f"{setting}: cannot write into {there}: {error.strerror}.", prevents=True)


def _check_storage(settings: Settings) -> Iterator[Finding]:
    try:
        name = shared_name(settings.storage_url)
    except ConfigurationError as error:
        yield Finding(str(error), prevents=True)
        return
    if name.startswith(FILE):
        yield from _check_folder(SETTING, Path(name.removeprefix(f"{FILE}://")))


def _check_state(settings: Settings) -> Iterator[Finding]:
    state = settings.state
    there = next(folder for folder in (state, *state.parents) if folder.exists())
    if found := [*_check_folder("CHAPTERHOUSE_STATE_DIR", state)]:
        yield from found
        return
    usage = shutil.disk_usage(there)
    if usage.free < LITTLE_DISK_SHARE * usage.total:
        free = f"{usage.free / GIBIBYTE:.1f} GiB of {usage.total / GIBIBYTE:.1f}"
        yield Finding(f"CHAPTERHOUSE_STATE_DIR: only {free} are free where {state} lies.", prevents=False)


def _check_meeting(settings: Settings) -> Iterator[Finding]:
    try:
        Meeting.of(settings)
    except ConfigurationError as error:
        yield Finding(str(error), prevents=True)


def _check_store(settings: Settings) -> Iterator[Finding]:
    store = ModelStore.of(settings)
    preloaded = (("preload", model_id, None) for model_id in settings.preload)
    for setting, model_id, task in (*settings.default_models, *preloaded):
        try:
            model = store.get(model_id, task=task)
        except ServiceError as error:
            yield Finding(f"CHAPTERHOUSE_{setting.upper()}: {error.detail}", prevents=True)
            continue
        if model.card is not None and file_sha256(model.weights) != model.card.sha256:
            words = f"{model_id} has weights that are not those of its card; without it the service is never ready."
            yield Finding(words, prevents=False)
    for model_id in store.ids():
        try:
            store.get(model_id)
        except ServiceError as error:
            yield Finding(f"{model_id} cannot be used: {error.detail}", prevents=False)


def _check_database(settings: Settings) -> Iterator[Finding]:
    if settings.state.is_dir():
        with suppress(ConfigurationError):
            for words in findings(settings):
                yield Finding(words, prevents=False)
    if settings.database_url or settings.database.is_file():
        try:
            database = Database.of(settings, busy_s=BUSY_S)
            keys = Keys(database).all()
        except (ConfigurationError, DatabaseUnavailable) as error:
            yield Finding(str(error), prevents=isinstance(error, ConfigurationError))
            return
    else:
        keys = []
    if not keys and not is_loopback(settings.host):
        yield Finding(
            f"OPEN TO EVERYBODY: {settings.host} is not this machine's own, and there are no keys.", prevents=False
        )
