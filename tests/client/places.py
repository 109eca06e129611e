"""The same methods in every place: over HTTP and in this process, waited for and awaited, all called in one way."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from service.client.asynchronous import AsyncClient
from service.local.asynchronous import AsyncLocal


class Awaited:
    """An object whose methods are coroutines, called by a test that is none."""

    def __init__(self, place: AsyncClient | AsyncLocal) -> None:
        self._place = place
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._place, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if inspect.isasyncgenfunction(method):
                return self._runner.run(_all(method(*arguments, **named)))
            return self._runner.run(method(*arguments, **named))

        return call

    def close(self) -> None:
        """Close the object and its loop."""
        self._runner.run(self._place.close())
        self._runner.close()


async def _all(items: Any) -> list[Any]:
    return [item async for item in items]
