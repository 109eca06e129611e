import inspect
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


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_asked_in_the_same_words_in_every_place(name: str) -> None:
    parameters = inspect.signature(method(AsyncClient, name)).parameters
    for place in (Client, AsyncLocal, Local):
        assert inspect.signature(method(place, name)).parameters == parameters


@pytest.mark.parametrize("name", METHODS)
def test_a_method_answers_the_same_in_every_place(name: str) -> None:
    answers = {inspect.signature(method(place, name)).return_annotation for place in (AsyncClient, AsyncLocal)}
    assert len(answers) == 1


@pytest.mark.parametrize("place", [Client, Local])
def test_a_face_has_no_other_methods(place: type) -> None:
    own = {name for name in vars(place) if not name.startswith("_")}
    assert own - {"run", "close"} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_does(name: str) -> None:
    for place in (Client, AsyncClient, Local, AsyncLocal):
        assert method(place, name).__doc__
