"""Questions to engines that nobody waits for: who asked is told what came of them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from service.errors import ServiceError
from service.runtime.calls import Array, Call, Told, Withdraw
from service.runtime.link import ConnectionLost, Link

Again = Callable[[ConnectionLost], Coroutine[Any, Any, list[Array]]]
"""Asks another engine what one held that died. Raises ServiceError."""


class Posted:
    """One of them, tried once more where its engine dies."""

    __slots__ = ("_again", "_told", "_trying", "_withdraw")

    def __init__(self, told: Told, again: Again) -> None:
        self._told = told
        self._again = again
        self._trying: asyncio.Task[None] | None = None

    def begin(self, link: Link, call: Call, arrays: Sequence[Array], request_id: str) -> Withdraw:
        """Ask an engine; what takes the question out again. Raises ConnectionLost."""
        self._withdraw = link.post(call, arrays, self._hear, request_id=request_id)
        return self._end

    def _end(self) -> None:
        if self._trying is not None:
            self._trying.cancel()
        else:
            self._withdraw()

    def _hear(self, outcome: list[Array] | BaseException) -> None:
        if isinstance(outcome, ConnectionLost):
            self._trying = asyncio.get_running_loop().create_task(self._try_again(outcome))
        else:
            self._told(outcome)

    async def _try_again(self, died: ConnectionLost) -> None:
        try:
            found = await self._again(died)
        except ServiceError as error:
            self._told(error)
        else:
            self._told(found)
