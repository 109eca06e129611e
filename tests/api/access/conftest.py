from collections.abc import Callable, Collection

import httpx
import pytest
from api.asking import connect

from service.api.gate import Application
from service.evaluation.queue.keys import Keys, KeyScope
from service.settings import Settings

MakeKey = Callable[..., str]
Bearing = Callable[[Application, str], httpx.AsyncClient]


@pytest.fixture
def keys(service_settings: Settings) -> Keys:
    """The table of keys of the service's database."""
    return Keys.of(service_settings)


@pytest.fixture
def make_key(keys: Keys) -> MakeKey:
    """A new key of these scopes."""

    def make(name: str, scopes: Collection[str], **limits: float) -> str:
        return keys.create(name, [KeyScope(scope) for scope in scopes], **limits)  # type: ignore[arg-type]

    return make


@pytest.fixture
def bearing() -> Bearing:
    """A client that bears this token, or none."""

    def bear(app: Application, token: str) -> httpx.AsyncClient:
        client = connect(app)
        del client.headers["authorization"]
        if token:
            client.headers["authorization"] = f"Bearer {token}"
        return client

    return bear
