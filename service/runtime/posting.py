"""Questions to engines that nobody waits for: who asked is told what came of them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from service.errors import ServiceError
from service.runtime.calls import Array, Asked, Call, Withdraw
from service.runtime.link import ConnectionLost

Again = Callable[[Call, Asked, ConnectionLost], Coroutine[Any, Any, list[Array]]]
"""Asks another engine what one held that died. Raises ServiceError."""


class Posted:
    """One of them, tried once more where its engine dies."""

    __slots__ = ("_again", "_asked", "_call", "_trying", "withdraw")

    withdraw: Withdraw
    """What takes it out of the engine that has it."""

    def __init__(self, call: Call, asked: Asked, again: Again) -> None:
        self._call = call
        self._asked = asked
        self._again = again
        self._trying: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Take it out, wherever it is."""
        if self._trying is not None:
            self._trying.cancel()
        else:
            self.withdraw()

    def hear(self, outcome: list[Array] | BaseException) -> None:
        """Tell who asked what came of it, or ask once more."""
        if isinstance(outcome, ConnectionLost):
            self._trying = asyncio.get_running_loop().create_task(self._try_again(outcome))
        else:
            self._asked.told(outcome)

    async def _try_again(self, died: ConnectionLost) -> None:
        try:
            found = await self._again(self._call, self._asked, died)
        except ServiceError as error:
            self._asked.told(error)
        else:
            self._asked.told(found)
