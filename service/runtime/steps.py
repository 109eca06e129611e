"""What a device's threads are at: told with every beat, so that a step that never ends is noticed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

Step = tuple[int, str, float | None]
"""Its number, what it is in words, and how many seconds it usually takes where that has been measured."""


class Steps:
    """The steps that have begun and not ended, from whatever thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, Step] = {}

    @contextmanager
    def at(self, what: str, usual_s: float | None = None) -> Iterator[None]:
        """Count as under way for as long as the context lasts."""
        number = next(self._numbers)
        self._open[number] = (number, what, usual_s)
        try:
            yield
        finally:
            del self._open[number]

    def open(self) -> list[Step]:
        """The steps under way now, the oldest first."""
        return list(self._open.values())
