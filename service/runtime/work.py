"""One submission, as the side that answers it holds it: what is asked, how far it is, and where the answer goes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.errors import ServiceError
from service.runtime.calls import Array, Call, Lane

Answer = Callable[[list[Array] | ServiceError], None]


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
    pieces: list[list[Array]] = field(default_factory=list)
    over: bool = False
    """Answered, failed or cancelled: nothing more is done for it."""
    expiry: asyncio.TimerHandle | None = None
    """What answers it once its deadline passes."""

    def finish(self, outcome: list[Array] | ServiceError) -> None:
        """Answer once; later outcomes are dropped."""
        if not self.over:
            self.close()
            self.answer(outcome)

    def close(self) -> None:
        """Mark it as over, and stop the timer of its deadline."""
        self.over = True
        if self.expiry is not None:
            self.expiry.cancel()
