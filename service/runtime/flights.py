"""The batches of an engine that are under way beside each other: how many there may be, and which lane has room."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from service.runtime.calls import Lane

Ended = Callable[["asyncio.Task[None]"], None]


class Flights:
    """At most `most` batches; one place is kept for what is short, so that it never waits for all that is long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: dict[asyncio.Task[None], Lane] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def are_all_taken(self) -> bool:
        """Whether as many are under way as may be."""
        return len(self._under_way) >= self._most

    @property
    def have_room_for_long(self) -> bool:
        """Whether long work may have one more."""
        long = sum(lane is not Lane.INTERACTIVE for lane in self._under_way.values())
        return long < max(1, self._most - 1)

    def add(self, work: Coroutine[Any, Any, None], lane: Lane, ended: Ended) -> None:
        """Begin work of a lane; `ended` is told when it is over."""
        task = asyncio.create_task(work)
        self._under_way[task] = lane
        task.add_done_callback(self._end)
        task.add_done_callback(ended)

    def _end(self, task: "asyncio.Task[None]") -> None:
        del self._under_way[task]
