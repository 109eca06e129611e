"""Whose evaluations a caller meets: a key meets its own, and an administrator all."""

from typing import Annotated

from fastapi import Request

from service.api.access.callers import caller_of
from service.api.given import given
from service.evaluation.queue.jobs import Owner
from service.evaluation.queue.keys import KeyScope


def visible_to(request: Request) -> Owner | None:
    """Whose evaluations the caller sees; None for everybody's."""
    caller = caller_of(request.scope)
    return None if KeyScope.ADMIN in caller.scopes else Owner(caller.key)


def key_of(request: Request) -> str | None:
    """The name of the caller's key, whose evaluation this will be: also an administrator's meets only its own."""
    return caller_of(request.scope).key


VisibleDep = Annotated[Owner | None, given(visible_to)]
KeyDep = Annotated[str | None, given(key_of)]
