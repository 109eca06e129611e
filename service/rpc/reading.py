"""Messages on their way: how many are read at a time, so that what comes has a bound before its size is known."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.api.access.callers import caller_at
from service.api.budgets import Budget
from service.errors import InvalidRequest, Overloaded, RequestTimeout
from service.rpc.asking import peer_of
from service.settings import Settings


class Reading:
    """Places for messages that arrive, each as large as a message may be, and for each client a share of them."""

    def __init__(self, settings: Settings) -> None:
        self._limit_s = settings.body_timeout_s
        places = max(1, settings.memory_limit_bytes // settings.body_limit_bytes)
        self._places = Budget(places, settings.client_share)
        self._freed = asyncio.Condition()

    async def only(self, messages: AsyncIterator[Any], peer: str) -> Any:
        """The message of a call. Raises RequestTimeout, Overloaded, and InvalidRequest where there is none."""
        async with self._place(peer):
            try:
                async with asyncio.timeout(self._limit_s):
                    return await anext(messages)
            except StopAsyncIteration:
                raise InvalidRequest("The call brings no message.") from None
            except TimeoutError:
                raise RequestTimeout(f"The message did not come within {self._limit_s:g} s.") from None

    async def each(self, messages: AsyncIterator[Any], peer: str) -> AsyncIterator[Any]:
        """The messages of a stream, which keeps its place as long as it is open. Raises Overloaded."""
        async with self._place(peer):
            async for message in messages:
                yield message

    @asynccontextmanager
    async def _place(self, peer: str) -> AsyncIterator[None]:
        address = peer_of(peer)
        client = caller_at(address[0] if address else peer).name
        async with self._freed:
            try:
                async with asyncio.timeout(self._limit_s):
                    await self._freed.wait_for(lambda: self._places.take(client))
            except TimeoutError:
                raise Overloaded("Too many messages are on their way. Try again.") from None
        try:
            yield
        finally:
            async with self._freed:
                self._places.give_back(client)
                self._freed.notify_all()
