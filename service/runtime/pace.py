"""How fast a queue is worked off, and so when there will be room in it."""

import time
from collections.abc import Callable

WEIGHT_OF_THE_LAST = 0.2
LEAST_S, MOST_S = 0.1, 600.0
"""Sooner nobody needs to come again, and nobody is sent away for longer."""


def bounded(seconds: float) -> float:
    """For how long somebody is sent away who would have to wait so long."""
    return min(max(LEAST_S, seconds), MOST_S)


class Pace:
    """The seconds that a row takes to leave while others wait."""

    __slots__ = ("_clock", "_left", "_row_s", "_since")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._row_s = 0.0
        self._since = 0.0
        """When rows last left and others stayed; 0 for never, or when none stayed."""
        self._left = 0

    def leave(self, rows: int, staying: int) -> None:
        """So many rows go to the device now, and so many others wait on."""
        now = self._clock()
        if self._since:
            row_s = (now - self._since) / self._left
            self._row_s += (row_s - self._row_s) * (WEIGHT_OF_THE_LAST if self._row_s else 1.0)
        self._since = now if staying else 0.0
        self._left = rows

    def wait_s(self, rows: int) -> float:
        """When so many rows will be gone that wait now, by how it went lately and how it goes now."""
        row_s = self._row_s
        if self._since:
            row_s = max(row_s, (self._clock() - self._since) / self._left)
        return bounded(rows * row_s)
