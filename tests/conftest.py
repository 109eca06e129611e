import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import torch
from doubles import DOUBLES, Echo, Miscounting, Slow, add_doubles
from hypothesis import settings

from service.evaluation.pipeline import Bench
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.evaluation.references import References
from service.nets.registry import NETS
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

settings.register_profile("house", deadline=None, max_examples=50)  # a test never asserts a time
settings.load_profile("house")
torch.set_num_threads(1)  # work is small here: on a busy machine several threads wait for each other most of the time


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own shell reaches a test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CHAPTERHOUSE_{name.upper()}", raising=False)


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


@pytest.fixture
def models_dir(tmp_path: Path, doubles: None) -> Path:  # noqa: ARG001 - their weights need their nets
    """A layer of a store with a model of every double."""
    layer = tmp_path / "models_store"
    add_doubles(layer)
    return layer


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
def service_settings(models_dir: Path, tmp_path: Path) -> Settings:
    """The doubles' store with Echo and Doodle as its defaults, and a state directory of the test's own."""
    settings = Settings(
        models_dir=models_dir, state_dir=tmp_path / "state", default_classifier="echo", default_generator="doodle"
    )
    migrate(Database.of(settings))
    return settings


@pytest.fixture
def bench(service_settings: Settings, store: ModelStore, engine: LocalEngine) -> Bench:
    """What evaluations are made with; Echo's features are the pixels themselves."""
    return Bench(service_settings, store, engine, References.of(service_settings))
