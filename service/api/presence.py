"""Whether a request's client is there: what is being done for one that hangs up is cancelled."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from starlette.types import Receive

WATCH_AFTER_S = 0.05
"""Only requests that wait this long listen for their client hanging up, where no server tells of it."""
PRESENCE = "chapterhouse.presence"
"""The extension of ASGI by which a front's own server tells of it at once."""


class CallerGone(BaseException):
    """The client hung up; there is nobody to answer."""


class Presence:
    """The client of one request. The work inside is cancelled, and CallerGone raised, when it hangs up."""

    __slots__ = ("_gone", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gone = False
        self._task: asyncio.Task[Any] | None = None

    def end(self) -> None:
        """It has hung up."""
        if not self._gone and self._task is not None:
            self._task.cancel()
        self._gone = True

    def __enter__(self) -> None:
        if self._gone:
            raise CallerGone
        self._task = asyncio.current_task(self._loop)  # to find out which loop runs is a call of the system

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._gone and kind is asyncio.CancelledError:
            assert task is not None
            task.uncancel()
            raise CallerGone


class Watch:
    """The same by listening, for servers that tell of it in no other way. The body must have been read."""

    __slots__ = ("_gone", "_listener", "_receive", "_task", "_timer")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._gone and kind is asyncio.CancelledError:
            assert self._task is not None
            self._task.uncancel()
            raise CallerGone

    def _begin(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        assert self._task is not None
        self._gone = True
        self._task.cancel()


def presence_of(scope: Mapping[str, Any]) -> Presence | None:
    """The client of a request, where its server tells of it."""
    presence: Presence | None = scope.get("extensions", {}).get(PRESENCE)
    return presence


def watch(scope: Mapping[str, Any], receive: Receive) -> AbstractContextManager[None]:
    """Cancels the work inside, and raises CallerGone, when the client of a request that has been read hangs up."""
    return presence_of(scope) or Watch(receive)
