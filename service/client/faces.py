"""One logic, two faces: what is written once as coroutines, for programs that wait for each answer where they stand."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def blocking(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """The method of a face that waits for this one.

    A face has the object whose methods are coroutines as `asynchronous`, and `run`, which waits for one.
    """

    @wraps(method)
    def call(face: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        outcome: T = face.run(method(face.asynchronous, *args, **kwargs))
        return outcome

    return call


def blocking_each(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """The method of a face that waits for each of the things that this one tells."""

    @wraps(method)
    def each(face: Any, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        told = method(face.asynchronous, *args, **kwargs)
        try:
            while following := face.run(_next(told)):
                yield from following
        finally:
            face.run(_close(told))

    return each


async def _next(told: AsyncGenerator[T, None]) -> list[T]:
    """The next one alone; nothing at the end."""
    try:
        return [await anext(told)]
    except StopAsyncIteration:
        return []


async def _close(told: AsyncGenerator[Any, None]) -> None:
    await told.aclose()
