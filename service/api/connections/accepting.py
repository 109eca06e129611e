"""A front's listening socket, from which all that wait are taken at once and begun in turns, a few of each client.

Left to itself an event loop takes one connection in each of its turns (libuv does, and with it uvloop), so that whoever
makes hundreds a second has everybody's new connections wait behind his own in the system's queue.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

TAKEN_AT_ONCE = 128
BEGUN_AT_ONCE = 8
"""Connections of one client that are begun in one turn, half a millisecond's work: its next ones wait, and those of
others do not."""
MORE_AT_ONCE, MORE, MORE_PER_S = 24, 256, 128
"""So many further ones in one turn, of so many in all, of which so many come back in a second: turns become long as
those that are open are busy, and by eight in each the last of a few hundred that come together would wait for dozens.
Whoever goes on making hundreds gains little by it."""
ROOM = 512
"""Connections that are taken and not begun, at most; the system keeps further ones."""
REST_S = 0.1
"""How long none is taken after there was no descriptor for one."""

Begin = Callable[[socket.socket], Coroutine[Any, Any, object]]


class Acceptor:
    """Takes connections until it is closed, and begins those whose clients are still there."""

    def __init__(self, listening: socket.socket, begin: Begin, whose: Callable[[Any], str]) -> None:
        self._listening = listening
        self._begin = begin
        self._whose = whose
        self._loop = asyncio.get_running_loop()
        self._more, self._more_at = float(MORE), self._loop.time()
        """Those that may be begun beside each client's eight in a turn, and when that was reckoned."""
        self._waiting: dict[str, deque[socket.socket]] = {}
        """Those that are taken and not begun, by client."""
        self._count = 0
        self._most = 1
        """So many are taken next: one where few come, so that fronts share them, and ever more where many wait."""
        self._turn_comes = False
        self._beginnings: set[asyncio.Task[object]] = set()
        self._serves = False

    async def start_serving(self) -> None:
        """Take connections from now on."""
        self._listening.settimeout(0)
        self._loop.add_reader(self._listening, self._take)
        self._serves = True

    def is_serving(self) -> bool:
        """Whether it takes any."""
        return self._serves

    def close(self) -> None:
        """Take no more, and begin all that are taken."""
        if self._serves:
            self._serves = False
            self._loop.remove_reader(self._listening)
        for client in [*self._waiting]:
            self._begin_some(client, self._count)

    async def wait_closed(self) -> None:
        """Wait until all that are taken are begun."""
        await asyncio.gather(*self._beginnings, return_exceptions=True)

    def _take(self) -> None:
        """Take what waits at the socket, and have some of it begun."""
        for _ in range(min(self._most, ROOM - self._count)):
            try:
                connection, peer = self._listening.accept()
            except BlockingIOError:
                self._most = 1
                break
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._rest(error)
                break
            self._waiting.setdefault(self._whose(peer), deque()).append(connection)
            self._count += 1
        else:
            self._most = min(4 * self._most, TAKEN_AT_ONCE)
        if not self._turn_comes:
            self._turn()

    def _rest(self, error: OSError) -> None:
        """There is no descriptor, or no memory, for another one; look again a little later."""
        log.warning("no connection can be taken: %s", error)
        self._loop.remove_reader(self._listening)
        self._loop.call_later(REST_S, self._take_again)

    def _take_again(self) -> None:
        if self._serves:
            self._loop.add_reader(self._listening, self._take)

    def _turn(self) -> None:
        """Begin some of every client's, first of those who have few."""
        self._turn_comes = False
        now = self._loop.time()
        self._more = min(MORE, self._more + (now - self._more_at) * MORE_PER_S)
        self._more_at = now
        for client in sorted(self._waiting, key=lambda client: len(self._waiting[client])):
            begun = self._begin_some(client, BEGUN_AT_ONCE + min(int(self._more), MORE_AT_ONCE))
            self._more -= max(0, begun - BEGUN_AT_ONCE)
        if self._waiting:
            self._turn_comes = True
            self._loop.call_soon(self._turn)

    def _begin_some(self, client: str, most: int) -> int:
        """Begin so many connections of one client that it has not reset meanwhile: nobody works for those; how many."""
        waiting, left = self._waiting[client], most
        while waiting and left:
            connection = waiting.popleft()
            self._count -= 1
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                connection.close()
                continue
            left -= 1
            task = self._loop.create_task(self._begin(connection))
            self._beginnings.add(task)
            task.add_done_callback(self._begun)
        if not waiting:
            del self._waiting[client]
        return most - left

    def _begun(self, task: asyncio.Task[object]) -> None:
        self._beginnings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a connection could not be begun: %s", error)
