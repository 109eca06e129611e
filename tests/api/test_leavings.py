"""What a request took goes with it, and is not left to the garbage collector, which looks rarely at what is old."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from api.fronts import LIVE, Front, Slow, serving, whole
from doubles import FakeEngine
from waiting import PATIENCE_S, until

from service.api.connections.protocol import Connection
from service.api.gate import Application
from service.api.noting import REFUSAL, refuse
from service.errors import Overloaded

MakeApp = Callable[..., Application]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def only_connection(front: Front) -> Connection:
    front.wait_for_connections(1)
    [connection] = front.server.server_state.connections
    assert isinstance(connection, Connection)
    return connection


@pytest.mark.parametrize("said", [LIVE, whole(), whole(b"no image")], ids=["a question", "work", "a refusal"])
def test_a_request_that_is_answered_is_forgotten_with_the_next(front: Front, said: bytes) -> None:
    with front.caller() as caller:
        caller.say(said).answer()
        first = weakref.ref(only_connection(front).cycle)
        caller.say(said).answer()
        until(lambda: first() is None)


def test_a_connection_that_is_over_is_forgotten(front: Front) -> None:
    with front.caller() as caller:
        caller.say(whole()).answer()
        gone = weakref.ref(only_connection(front))
    until(lambda: gone() is None)


def test_a_connection_that_is_reset_with_requests_ahead_is_forgotten(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())
    slow = Slow(app)
    with serving(app) as front, front.caller() as caller:
        caller.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE * 3)
        assert slow.asked.wait(PATIENCE_S)
        gone = weakref.ref(only_connection(front))
        caller.reset()
        slow.answer.set()
        until(lambda: gone() is None)


class Body:
    """What was read, and can be watched."""


def test_an_error_that_is_noted_holds_nothing_of_what_was_read_where_it_arose() -> None:
    read: list[weakref.ref[Body]] = []

    def read_and_refuse() -> None:
        body = Body()
        read.append(weakref.ref(body))
        raise Overloaded("There is no room.")

    scope: dict[str, Any] = {"state": {}}
    try:
        read_and_refuse()
    except Overloaded as error:
        refuse(scope, error)
    assert read[0]() is None
    assert isinstance(scope["state"][REFUSAL], Overloaded)
