"""What a route is given besides what its caller sends: found in the request, by a function of it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from fastapi import Depends

P = ParamSpec("P")


def given(find: Callable[P, object]) -> Any:
    """The dependency that a quick function is: FastAPI would run it in a thread, which takes longer than it does."""

    @wraps(find)
    async def found(*arguments: P.args, **named: P.kwargs) -> object:
        return find(*arguments, **named)

    return Depends(found)
