"""When a request that costs the event loop much is begun: one of each client in a turn, so that others come between."""

import asyncio
from collections import deque


class Beginnings:
    """Lets the requests of a client begin one after the other, each in a turn of the event loop of its own.

    Hundreds that come together would all take their first steps in one turn, and their next ones in the next: who asks
    for little would wait for hundreds of steps at each of his own.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """Those that wait, of every client who has begun one in this turn or has more to begin."""

    async def take(self, client: str) -> None:
        """Wait until it is a request's turn: at once, where the client has begun no other one in this turn."""
        waiting = self._waiting.get(client)
        if waiting is not None:
            mine = asyncio.get_running_loop().create_future()
            waiting.append(mine)
            await mine
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting[client] = deque()

    def _turn(self) -> None:
        for client, waiting in [*self._waiting.items()]:
            if not _begin_one(waiting):
                del self._waiting[client]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)


def _begin_one(waiting: deque[asyncio.Future[None]]) -> bool:
    """Whether there was one whose client still waits for it."""
    while waiting:
        if not (next_one := waiting.popleft()).done():
            next_one.set_result(None)
            return True
    return False
