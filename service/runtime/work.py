"""One submission, as the side that answers it holds it: what is asked, how far it is, and where the answer goes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.errors import ServiceError
from service.runtime.calls import Array, Call, Lane

Answer = Callable[[list[Array] | ServiceError], None]


def _dropped(_outcome: list[Array] | ServiceError) -> None:
    """Nobody waits for an answer any more."""


@dataclass(slots=True, eq=False)
class Work:
    """One submission: rows that are answered together, whatever batches they went through."""

    call: Call
    arrays: Sequence[Array]
    rows: int
    lane: Lane
    deadline: float | None
    request_id: str
    answer: Answer
    arrived: float = field(default_factory=time.monotonic)
    waited_s: float | None = None
    """From its arrival until the first of its rows went to the device, once they have."""
    device_s: float = 0.0
    """How long the device has computed its batches."""
    computed: float = 0.0
    """When the last of them came back."""
    taken: int = 0
    missing: int = 0
    """Rows of which there are no results yet, once some have come in a piece."""
    pieces: dict[int, list[Array]] | None = None
    """The results so far by their first row; pieces come in any order."""
    over: bool = False
    """Answered, failed or cancelled: nothing more is done for it."""
    expiry: asyncio.TimerHandle | None = None
    """What answers it once its deadline passes."""

    def finish(self, outcome: list[Array] | ServiceError) -> None:
        """Answer once; later outcomes are dropped."""
        if not self.over:
            answer = self.answer
            self.close()
            answer(outcome)

    def add(self, start: int, rows: int, results: list[Array]) -> None:
        """Take the results of so many rows from this one on; answer once all are there."""
        if self.pieces is None:
            self.pieces, self.missing = {}, self.rows
        self.pieces[start] = results
        self.missing -= rows
        if not self.missing:
            pieces = [self.pieces[first] for first in sorted(self.pieces)]
            self.finish([np.concatenate(parts) for parts in zip(*pieces, strict=True)])

    def close(self) -> None:
        """Mark it as over, and stop the timer of its deadline.

        It lets go of where its answer goes, which knows it: its arrays are gone with the last batch that has them.
        """
        self.over = True
        self.answer = _dropped
        if self.expiry is not None:
            self.expiry.cancel()
