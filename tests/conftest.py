import random
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import torch
from doubles import DOUBLES, Echo, Miscounting, Slow, add_doubles
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from service.environment import silence_onnxruntime
from service.evaluation.pipeline import Bench
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.evaluation.references import References
from service.machine import cores
from service.nets.registry import NETS
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

silence_onnxruntime()

# A test never asserts a time, and is the same every time; `--hypothesis-profile=search` looks for what it has missed.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("house", untimed, max_examples=50, derandomize=True)
settings.register_profile("search", untimed, max_examples=1000)
settings.load_profile("house")
# Work is small here: on a busy machine several threads wait for each other most of the time.
torch.set_num_threads(1)
threadpool_limits(1)


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's, which `-p no:xdist` leaves out
def pytest_xdist_auto_num_workers() -> int:
    """As many processes run tests as there are cores for them, in a container too."""
    return cores()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, files with slow ones come first, so that quick ones even out the end.

    Whoever is ready takes over the last tests of another: of the slow files those come last whose tests share nothing.
    """
    if hasattr(config, "workerinput"):
        slow = dict.fromkeys(item.path for item in reversed(items) if item.get_closest_marker("slow"))
        places = {path: place for place, path in enumerate(slow)}
        items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collectstart() -> None:
    """Every file of tests draws the same numbers while it is read, whatever was read before."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Every test and its fixtures draw the same numbers, alone and after others."""
    _seed()


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what is drawn without a generator
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own shell reaches a test, nor the width of a terminal that there is not."""
    for name in ("COLUMNS", "LINES", *(f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The doubles stand in the registry of nets, and remember nothing of other tests."""
    for name, double in DOUBLES.items():
        monkeypatch.setitem(NETS, name, double)
    monkeypatch.setattr(Miscounting, "fewer", False)
    Echo.forwarded.clear()
    Slow.entered.clear()
    Slow.let_go.clear()
    yield
    Slow.let_go.set()


@pytest.fixture(scope="session")
def written_doubles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer of a store with a model of every double, written once and copied by whoever needs one."""
    layer = tmp_path_factory.mktemp("doubles") / "models_store"
    _seed()
    add_doubles(layer)
    _seed()
    return layer


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database of the newest revision, made once and copied by whoever needs one."""
    file = tmp_path_factory.mktemp("migrated") / "chapterhouse.db"
    database = Database(sa.URL.create("sqlite", database=str(file)))
    migrate(database)
    database.close()
    return file


@pytest.fixture
def models_dir(tmp_path: Path, doubles: None, written_doubles: Path) -> Path:  # noqa: ARG001 - weights need their nets
    """A layer of a store with a model of every double."""
    return shutil.copytree(written_doubles, tmp_path / "models_store")


@pytest.fixture
def store(models_dir: Path) -> ModelStore:
    """A store with a model of every double."""
    return ModelStore(models_dir)


@pytest.fixture
async def engine(store: ModelStore) -> AsyncIterator[LocalEngine]:
    """An engine over the doubles, with a queue of 64 rows."""
    async with LocalEngine(store, threads=1, queue_limit=64) as running:
        yield running
        Slow.let_go.set()


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory whose path is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="ch-") as directory:
        yield Path(directory)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of this machine where nobody listens, nor can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        yield port


@pytest.fixture
def service_settings(models_dir: Path, tmp_path: Path, migrated_database: Path) -> Settings:
    """The doubles' store with Echo and Doodle as its defaults, and a state directory of the test's own."""
    settings = Settings(
        models_dir=models_dir, state_dir=tmp_path / "state", default_classifier="echo", default_generator="doodle"
    )
    settings.database.parent.mkdir(exist_ok=True)
    shutil.copy(migrated_database, settings.database)
    return settings


@pytest.fixture
def bench(service_settings: Settings, store: ModelStore, engine: LocalEngine) -> Bench:
    """What evaluations are made with; Echo's features are the pixels themselves."""
    return Bench(service_settings, store, engine, References.of(service_settings))
