"""Whose turn it is on a device's thread: long work pauses, and short work that came meanwhile goes first."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

from service.errors import EngineUnavailable
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
        self._long = 0
        """How many long functions run, or wait for each other."""

    def short(self, function: Callable[..., Result], *args: Any) -> "asyncio.Future[Result]":
        """Have the function run as soon as the thread is free or long work pauses; its result.

        Raises EngineUnavailable where the thread ends before its turn comes.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        if self._long:
            self._waiting.append(partial(_run, function, args, answer, loop))
            turn = self._thread.submit(self._run_waiting)  # in case that the long work ends before it pauses again
        else:
            turn = self._thread.submit(_run, function, args, answer, loop)
        turn.add_done_callback(partial(_end, answer, loop))
        return answer

    async def long(self, wanted: Callable[[], bool], function: Callable[..., Result], *args: Any) -> Result:
        """The result of a function that pauses. Raises Stopped at the first pause at which it is not wanted."""
        self._long += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, partial(self._run_long, wanted, function, *args)
            )
        finally:
            self._long -= 1

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
    """Run a function on the device's thread and answer on the loop, unless nobody waits for it any more."""
    if answer.cancelled():
        return
    try:
        result = function(*args)
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
        loop.call_soon_threadsafe(_settle, answer, None, error)
    else:
        loop.call_soon_threadsafe(_settle, answer, result, None)


def _end(answer: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop, turn: "Future[None]") -> None:
    """Nobody waits for ever for a turn that never comes."""
    if turn.cancelled():
        loop.call_soon_threadsafe(_settle, answer, None, EngineUnavailable("This engine does not run."))


def _settle(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
