import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import uvloop
from api.asking import LOCAL_TOKEN, connect, ways
from api.fronts import Front, serving
from doubles import FakeEngine, echoed
from waiting import PATIENCE_S

from service.api import database
from service.api.app import create_app
from service.api.gate import Application
from service.api.state import State
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

MakeApp = Callable[..., Application]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks whether the database answers waits until that is known, however slow the machine is."""
    monkeypatch.setattr(database, "PROBE_WAIT_S", PATIENCE_S)


@pytest.fixture
def make_app(service_settings: Settings, store: ModelStore) -> MakeApp:
    """The application over any engine, with other settings where they are given."""

    def make(engine: LocalEngine | FakeEngine, *, local_token: str = LOCAL_TOKEN, **changed: object) -> Application:
        settings = service_settings.model_copy(update=changed)
        return create_app(State.of(settings, store=store, engines=engine, control=engine, local_token=local_token))

    return make


@pytest.fixture(params=["bare", "over sockets", "directly"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ask the bare application, and the one behind our own server: with messages of ASGI, and without them."""
    monkeypatch.setitem(ways, "over sockets", request.param != "bare")
    monkeypatch.setitem(ways, "directly", request.param == "directly")


@pytest.fixture
def app(make_app: MakeApp, engine: LocalEngine) -> Application:
    """The application over an engine of doubles."""
    return make_app(engine)


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it on this machine."""
    async with connect(app) as client:
        yield client


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def front(request: pytest.FixtureRequest, make_app: MakeApp) -> Iterator[Front]:
    """A front that runs, on either event loop; its engine gives one answer to everything."""
    app = make_app(FakeEngine([echoed(1)]))
    with serving(app, request.param) as running:
        yield running
