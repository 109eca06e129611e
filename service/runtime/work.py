"""One submission, as the side that answers it holds it: what is asked, how far it is, and where the answer goes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
    missing: int = field(init=False)
    """Rows of which there are no results yet, where they come in pieces."""
    pieces: dict[int, list[Array]] = field(default_factory=dict)
    """The results so far by their first row; pieces come in any order."""
    over: bool = False
    """Answered, failed or cancelled: nothing more is done for it."""
    expiry: asyncio.TimerHandle | None = None
    """What answers it once its deadline passes."""

    def __post_init__(self) -> None:
        self.missing = self.rows

    def finish(self, outcome: list[Array] | ServiceError) -> None:
        """Answer once; later outcomes are dropped."""
        if not self.over:
            answer = self.answer
            self.close()
            answer(outcome)

    def close(self) -> None:
        """Mark it as over, and stop the timer of its deadline.

        It lets go of where its answer goes, which knows it: its arrays are gone with the last batch that has them.
        """
        self.over = True
        self.answer = _dropped
        if self.expiry is not None:
            self.expiry.cancel()
