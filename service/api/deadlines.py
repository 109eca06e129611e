"""`X-Deadline-Ms`: until when an answer has to begin, kept by every route alike."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Self

from fastapi import Request

from service.api.gate import deadline_of
from service.api.given import given
from service.errors import DeadlineExceeded


class Deadline:
    """When the caller's `X-Deadline-Ms` passes. Raises InvalidRequest for anything but a number of milliseconds."""

    def __init__(self, header: bytes | str | None) -> None:
        self.at = deadline_of(header)
        """In seconds of `time.monotonic`; None where the caller waits for ever."""
        self._timeout = asyncio.timeout(None)

    @classmethod
    def until(cls, moment: float | None) -> Self:
        """The deadline at a moment of `time.monotonic`; none where that is None."""
        deadline = cls(None)
        deadline.at = moment
        return deadline

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancels the work inside when the deadline passes. Raises DeadlineExceeded then."""
        self._timeout = asyncio.timeout(None if self.at is None else self.at - time.monotonic())
        try:
            async with self._timeout:
                yield
        except TimeoutError:
            if not self._timeout.expired():
                raise
            raise DeadlineExceeded("The deadline passed before there was an answer.") from None

    def lift(self) -> None:
        """Let the work inside go on to its end: what has been accepted is answered with what became of it."""
        self._timeout.reschedule(None)


def deadline_within(request: Request) -> Deadline:
    """The deadline that this request's route keeps."""
    deadline: Deadline = request.state.deadline
    return deadline


DeadlineDep = Annotated[Deadline, given(deadline_within)]
