"""Word of evaluations that have changed, from whoever changed them to whoever waits, so that nobody keeps asking."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class Change(NamedTuple):
    """An evaluation that was queued, went on or ended; without an id, any of them may have."""

    id: str = ""
    status: str = ""

    @property
    def may_be_work(self) -> bool:
        """Whether there may be something for an evaluator to begin."""
        return self.status in ("", "queued")


Hear = Callable[[Change], object]


class Changes:
    """Carries changes between the threads of a process; what carries them to other processes listens, too."""

    def __init__(self) -> None:
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Hear, bool]] = []

    def listen(self, hear: Hear, *, only_own: bool = False) -> Callable[[], None]:
        """Have `hear` called on the event loop that runs now, until the function that this returns is called.

        With `only_own` it is not told what other processes have changed.
        """
        listener = (asyncio.get_running_loop(), hear, only_own)
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return stop

    def tell(self, change: Change) -> None:
        """Say what this process has changed. Any thread may."""
        self._pass_on(change, own=True)

    def arrived(self, change: Change) -> None:
        """Pass on what another process has changed."""
        self._pass_on(change, own=False)

    def _pass_on(self, change: Change, *, own: bool) -> None:
        for loop, hear, only_own in tuple(self._listeners):
            if own or not only_own:
                with suppress(RuntimeError):  # the loop is closed, and nobody waits in it any more
                    loop.call_soon_threadsafe(hear, change)
