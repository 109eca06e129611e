"""The database as a front asks it: in threads of its own, never for long, and with a word on whether it answers."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from service.errors import DatabaseUnavailable
from service.evaluation.queue.jobs import Jobs

T = TypeVar("T")

THREADS = 4
"""Of those that read, and as many that write."""
THREADS_OF_A_FILE = 2
"""The same of a database that is a file: one writes at a time, and who reads waits for nothing but the interpreter, for
which the event loop would wait, too."""
BUSY_S = 5.0
"""How long another process may hold the database before a front's question fails."""
QUEUE_S = 5.0
"""How long a question may wait for its thread: the others are held up by a database that does not answer."""
PROBE_EVERY_S = 2.0
PROBE_WAIT_S = 0.5
"""How long somebody who asks whether it answers waits to be told; it answers within a few milliseconds."""
REMEMBERED_S = 10.0
"""A question that failed so lately is told: damage may lie where no probe looks."""


class DatabaseThreads:
    """Asks what blocks in threads of its own, so that a slow database holds up nothing else.

    `tell` is called with whether the database answers, whenever that has changed.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        tell: Callable[[bool], object] = lambda _: None,
        threads: int = THREADS,
    ) -> None:
        self._readers = ThreadPoolExecutor(threads, "reading")
        self._writers = ThreadPoolExecutor(threads, "writing")
        self._probe_it = probe
        self._tell = tell
        self._told = True
        self._probing: asyncio.Task[None] | None = None
        self._probed = -PROBE_EVERY_S
        self._failed = -REMEMBERED_S
        self._fault = ""
        tell(True)  # noqa: FBT003 - it does until it does not

    @classmethod
    def of(cls, jobs: Jobs, tell: Callable[[bool], object]) -> Self:
        """As many as its kind has use for."""
        return cls(jobs.probe, tell, THREADS_OF_A_FILE if jobs.database.is_sqlite else THREADS)

    async def ask(self, question: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """The answer to what only reads. Raises DatabaseUnavailable, and what it raises."""
        return await self._hear(self._readers.submit(question, *arguments, **options))

    async def change(self, change: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """What comes of a change, which is made to its end once it was begun. Raises as `ask` does.

        Who holds a SQLite file to write holds up writers; those who read go on.
        """
        return await self._hear(self._writers.submit(change, *arguments, **options))

    async def _hear(self, asked: "Future[T]") -> T:
        try:
            answer = await self._answer(asked)
        except DatabaseUnavailable as error:
            self._failed, self._fault = time.monotonic(), error.detail
            self._tell_once(answers=False)
            raise
        self._tell_once(answers=True)
        return answer

    def _tell_once(self, *, answers: bool) -> None:
        if answers is not self._told:
            self._told = answers
            self._tell(answers)

    async def _answer(self, asked: "Future[T]") -> T:
        answer = asyncio.wrap_future(asked)
        try:
            done, _ = await asyncio.wait({answer}, timeout=QUEUE_S)
            if not done and asked.cancel():
                raise DatabaseUnavailable("The database of evaluations is too slow for all that is asked.")
            return await answer
        finally:
            answer.cancel()  # where nobody waits any more

    async def fault(self) -> str | None:
        """Why the database does not answer, or did not a moment ago; None where it does."""
        if self._probing is None and time.monotonic() - self._probed > PROBE_EVERY_S:
            self._probing = asyncio.create_task(self._probe())
        if self._probing is not None:
            await asyncio.wait({self._probing}, timeout=PROBE_WAIT_S)
        if time.monotonic() - self._failed < REMEMBERED_S:
            return self._fault
        return None if self._probing is None else "The database of evaluations has not answered yet."

    async def _probe(self) -> None:
        try:
            await self.change(self._probe_it)
        except DatabaseUnavailable:
            pass  # `ask` remembers it
        finally:
            self._probed, self._probing = time.monotonic(), None
