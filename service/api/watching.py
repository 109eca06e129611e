"""One look at the database for all who wait in this front, taken when somebody tells of a change."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from service.api.database import DatabaseThreads
from service.errors import DatabaseUnavailable
from service.evaluation.queue.changes import Change
from service.evaluation.queue.jobs import Job, Jobs, Stage

LOOK_S = 2.0
"""How often those are looked at of whom nobody has told anything: word of a change can be lost."""
CLOSING_S = 0.2
"""How often it is looked whether this front closes."""
BREATH_S = 0.05
"""Pause between two looks: changes that come close together are seen at once."""
GONE = Stage("", 0, 0.0)
"""The stage of an evaluation that is no longer there."""

Closing = Callable[[], bool]
Outcome = asyncio.Future[bool | DatabaseUnavailable]


def stage_of(job: Job) -> Stage:
    """How far an evaluation was when it was read."""
    return Stage(job.status, job.attempt, job.progress)


class Watcher:
    """Tells those who wait for evaluations of their changes."""

    def __init__(self, jobs: Jobs, database: DatabaseThreads) -> None:
        self._jobs = jobs
        self._database = database
        self._waiting: defaultdict[str, dict[Outcome, Stage]] = defaultdict(dict)
        self._changed: set[str] = set()
        self._called = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self.closing: Closing = lambda: False

    async def wait(self, job: Job, timeout_s: float) -> bool:
        """Wait until an evaluation is further than `job`, or gone; False when that is not so in time, or we close.

        Raises DatabaseUnavailable.
        """
        changed: Outcome = asyncio.get_running_loop().create_future()
        self._waiting[job.id][changed] = stage_of(job)
        self._hear(Change(job.id))  # it may have changed since it was read
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait({changed}, timeout=timeout_s)
            outcome = changed.result() if done else False
        finally:
            changed.cancel()
            self._waiting[job.id].pop(changed, None)
            if not self._waiting[job.id]:
                del self._waiting[job.id]
        if isinstance(outcome, DatabaseUnavailable):
            raise outcome
        return outcome

    def _hear(self, change: Change) -> None:
        if not change.id:
            self._changed.update(self._waiting)
        elif change.id in self._waiting:
            self._changed.add(change.id)
        if self._changed:
            self._called.set()

    async def _watch(self) -> None:
        """Look whenever there is word of a change, for as long as anybody waits."""
        hear_no_more = self._jobs.changes.listen(self._hear)
        try:
            while self._waiting:
                await self._look()
                await asyncio.sleep(BREATH_S)
                await self._wait_for_call()
        finally:
            hear_no_more()
            self._watching = None

    async def _wait_for_call(self) -> None:
        """Wait for word of a change, for a while; whoever waits is let go when this front closes."""
        until = time.monotonic() + LOOK_S
        while self._waiting and not self._called.is_set():
            if self.closing():
                for changed in [changed for waiting in self._waiting.values() for changed in waiting]:
                    if not changed.done():
                        changed.set_result(False)
                return
            if time.monotonic() > until:
                self._changed.update(self._waiting)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), CLOSING_S)

    async def _look(self) -> None:
        self._called.clear()
        names, self._changed = self._changed & self._waiting.keys(), set()
        if not names:
            return
        failure, stages = None, dict[str, Stage]()
        try:
            stages = await self._database.ask(self._jobs.stages, names)
        except DatabaseUnavailable as error:
            failure = error
        for name in names:
            for changed, known in self._waiting.get(name, {}).items():
                if changed.done():
                    continue
                if failure is not None:
                    changed.set_result(failure)
                elif stages.get(name, GONE) != known:
                    changed.set_result(True)
