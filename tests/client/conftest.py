from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from client.places import Awaited
from doubles import add_card, add_forecaster
from running import running_service

from service.client.asynchronous import AsyncClient
from service.client.blocking import Client
from service.local.asynchronous import AsyncLocal
from service.local.blocking import Local
from service.settings import Settings

PLACES = ("Client", "AsyncClient", "Local", "AsyncLocal")


@pytest.fixture
def settings(service_settings: Settings, models_dir: Path) -> Settings:
    """A store of the doubles, and of a forecaster; Echo has a card."""
    add_forecaster(models_dir)
    add_card(models_dir / "echo")
    return service_settings.model_copy(update={"default_forecaster": "murmur", "threads": 1})


@pytest.fixture
def as_its_user(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients look for the service's token in its own state directory."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(settings.state))


@pytest.fixture
def server(settings: Settings) -> Iterator[str]:
    """The address of a running service."""
    with running_service(settings) as address:
        yield address


@contextmanager
def opened(name: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The place of this name, for the user whose it is."""
    request.getfixturevalue("as_its_user")
    if name == "Client":
        with Client(request.getfixturevalue("server")) as client:
            yield client
    elif name == "Local":
        with Local(request.getfixturevalue("settings")) as local:
            yield local
    else:
        awaited = Awaited(
            AsyncClient(request.getfixturevalue("server"))
            if name == "AsyncClient"
            else AsyncLocal(request.getfixturevalue("settings"))
        )
        yield awaited
        awaited.close()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A service to ask, wherever it is."""
    with opened(request.param, request) as place:
        yield place


@pytest.fixture
def client(server: str, as_its_user: None) -> Iterator[Client]:  # noqa: ARG001 - the token is read from there
    with Client(server) as client:
        yield client
