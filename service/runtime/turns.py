"""Whose turn it is on a device's thread: long work pauses, and short work that came meanwhile goes first."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from service.nets.pauses import Stopped, pausing

Result = TypeVar("Result")

TURN = 16
"""Batches of short work in a row after which long work goes on, so that it never stands still."""


class Turns:
    """Runs functions on one thread: short ones as they come, long ones with pauses for these.

    Everything but what runs on the thread itself is called from one event loop.
    """

    def __init__(self, thread: Executor) -> None:
        self._thread = thread
        self._waiting: deque[Callable[[], None]] = deque()
        self._long = False

    async def short(self, function: Callable[..., Result], *args: Any) -> Result:
        """The function's result, as soon as the thread is free or long work pauses."""
        loop = asyncio.get_running_loop()
        if not self._long:
            return await loop.run_in_executor(self._thread, function, *args)
        answer: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(partial(_run, function, args, answer, loop))
        self._thread.submit(self._run_waiting)  # in case that the long work ends before it pauses again
        return await answer

    async def long(self, wanted: Callable[[], bool], function: Callable[..., Result], *args: Any) -> Result:
        """The result of a function that pauses. Raises Stopped at the first pause at which it is not wanted."""
        self._long = True
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, partial(self._run_long, wanted, function, *args)
            )
        finally:
            self._long = False

    def _run_long(self, wanted: Callable[[], bool], function: Callable[..., Result], *args: Any) -> Result:
        with pausing(partial(self._let_others, wanted)):
            return function(*args)

    def _let_others(self, wanted: Callable[[], bool]) -> None:
        self._run_waiting()
        if not wanted():
            raise Stopped

    def _run_waiting(self) -> None:
        """What waits now; what comes while it runs waits for the next pause."""
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()


def _run(
    function: Callable[..., Result],
    args: tuple[Any, ...],
    answer: "asyncio.Future[Result]",
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Run a function on the device's thread and answer on the loop."""
    try:
        result = function(*args)
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        loop.call_soon_threadsafe(_settle, answer, None, error)
    else:
        loop.call_soon_threadsafe(_settle, answer, result, None)


def _settle(answer: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
