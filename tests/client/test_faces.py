import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from service.client.asynchronous import AsyncClient, ServiceMethods
from service.client.blocking import Client
from service.local.asynchronous import AsyncLocal
from service.local.blocking import Local

METHODS = [name for name, method in inspect.getmembers(ServiceMethods, inspect.isfunction) if not name.startswith("_")]


def method(place: type, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(place, name)
    return found


def signature(place: type, name: str) -> str:
    """Of a method, its types by their last names: a module may name one without loading it."""
    return re.sub(r"'|\b\w+\.", "", str(inspect.signature(method(place, name))))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_asked_in_the_same_words_in_every_place(name: str) -> None:
    parameters = signature(AsyncClient, name).split(" -> ")[0]
    for place in (Client, AsyncLocal, Local):
        assert signature(place, name).split(" -> ")[0] == parameters


@pytest.mark.parametrize("name", METHODS)
def test_a_method_answers_the_same_in_every_place(name: str) -> None:
    assert signature(AsyncLocal, name) == signature(AsyncClient, name)


@pytest.mark.parametrize("place", [Client, Local])
def test_a_face_has_no_other_methods(place: type) -> None:
    own = {name for name in vars(place) if not name.startswith("_")}
    assert own - {"run", "close"} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_does(name: str) -> None:
    for place in (Client, AsyncClient, Local, AsyncLocal):
        assert method(place, name).__doc__
