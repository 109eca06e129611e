"""Steps of an evaluation that run in threads, and how they are told that nobody waits for them any more."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """A step ended before its work was done, because it was told to."""


class Stop:
    """The sign to stop, at which a step looks now and then."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Tell the step to stop."""
        self._asked.set()

    def check(self) -> None:
        """Raise Stopped where the step was told to stop."""
        if self._asked.is_set():
            raise Stopped


async def in_thread(step: Callable[[Stop], T]) -> T:
    """What a step answers, computed in a thread.

    Cancelled, it tells the step to stop and waits until it has, so that the clean-up afterwards is undisturbed.
    """
    stop = Stop()
    running = asyncio.ensure_future(asyncio.to_thread(step, stop))
    running.add_done_callback(_retrieve)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.ask()
        await asyncio.wait({running})
        raise


def _retrieve(running: "asyncio.Future[T]") -> None:
    """Look at what a step raised after its caller had gone, so that asyncio does not report it as forgotten."""
    if not running.cancelled():
        running.exception()
