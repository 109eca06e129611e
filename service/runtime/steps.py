"""What a device's threads are at: told with every beat, so that a step that never ends is noticed."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

Step = tuple[int, str, float | None, str]
"""Its number, what it is in words, how many seconds it usually takes where that has been measured, and whose it is."""


class Steps:
    """The steps that have begun and not ended; of those inside each other, on one thread, the last."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, list[Step]] = {}
        self.busy_s = 0.0
        """How long steps have been under way, of those that have ended; the device's one thread counts."""

    @contextmanager
    def at(self, what: str, usual_s: float | None = None, model_id: str = "") -> Iterator[None]:
        """Count as under way for as long as the context lasts."""
        mine = self._open.setdefault(threading.get_ident(), [])
        is_first, began = not mine, time.monotonic()
        mine.append((next(self._numbers), what, usual_s, model_id))
        try:
            yield
        finally:
            mine.pop()
            if is_first:
                self.busy_s += time.monotonic() - began
            self.renew()  # it was not this thread's turn with what goes on now

    def renew(self) -> None:
        """Say that this thread's step goes on as it should: its time begins anew."""
        mine = self._open.get(threading.get_ident())
        if mine:
            mine[-1] = (next(self._numbers), *mine[-1][1:])

    def open(self) -> list[Step]:
        """The steps under way now."""
        return [step for mine in list(self._open.values()) for step in mine[-1:]]
