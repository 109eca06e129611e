"""What a Listener stands before in tests: it takes work, answers it or refuses it, and notes what it was told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.errors import ServiceError
from service.runtime.calls import LoadedModel
from service.runtime.work import Work


@dataclass
class Behind:
    """What a Listener stands before: takes work and leaves the answering to the test."""

    held: dict[str, LoadedModel] = field(default_factory=dict)
    works: list[Work] = field(default_factory=list)
    cancelled: list[Work] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    waiting: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    def enqueue(self, work: Work) -> None:
        """Keep it."""
        self.works.append(work)
        self.arrived.set()

    def cancel(self, work: Work) -> None:
        """Note it."""
        self.cancelled.append(work)
        self.dropped.set()

    async def load(self, model_id: str) -> None:
        """Note it, and fail where a failure was given."""
        self.commands.append(("load", model_id))
        if self.failure is not None:
            raise self.failure

    async def unload(self, model_id: str) -> None:
        """Note it."""
        self.commands.append(("unload", model_id))

    def models(self) -> Mapping[str, LoadedModel]:
        """What was given."""
        return self.held

    def rows_waiting(self) -> int:
        """What was given."""
        return self.waiting

    async def answer_all(self, count: int) -> None:
        """Answer so many submissions with their own arrays, the last first."""
        while len(self.works) < count:
            self.arrived.clear()
            await self.arrived.wait()
        for work in reversed(self.works):
            work.finish(list(work.arrays))
        self.works.clear()


class Answering(Behind):
    """Answers every submission at once with its own arrays."""

    def enqueue(self, work: Work) -> None:
        """Give the arrays back."""
        super().enqueue(work)
        work.finish(list(work.arrays))


class Refusing(Behind):
    """Answers every submission at once with an error."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__()
        self.error = error

    def enqueue(self, work: Work) -> None:
        """Give the error."""
        super().enqueue(work)
        work.finish(self.error)
