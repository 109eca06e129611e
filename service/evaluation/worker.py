"""The work of an evaluator: it claims evaluations one by one, carries them out, and stores their reports."""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from service.errors import ConfigurationError, DatabaseUnavailable, DiskFull, ServiceError, StorageUnavailable
from service.evaluation.figures.data import Figures
from service.evaluation.figures.files import FigureFiles
from service.evaluation.patience import PatientEngines
from service.evaluation.peers import Alone
from service.evaluation.pipeline import Bench, Progress, evaluate
from service.evaluation.queue import jobs as leases
from service.evaluation.queue.changes import Change
from service.evaluation.queue.homes import Homes
from service.evaluation.queue.jobs import Job, JobKind, Jobs
from service.evaluation.queue.leading import Lead
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.workers import Workers
from service.evaluation.retention import Retention
from service.evaluation.store_reference import store_reference
from service.evaluation.telling import End, Telling, whose
from service.evaluation.threads import in_thread
from service.evaluation.tidying import Tidying
from service.runtime.kinds import of_one_kind
from service.schemas import EvaluationRequest, ReferenceRequest
from service.storage.opening import open_storage
from service.telemetry.instruments import Instruments
from service.telemetry.traces import Tracer

log = logging.getLogger(__name__)

LOOK_S = 30.0
"""How often an idle evaluator looks without having been called: a lease may have run out, or a call was lost."""
RENEW_S = 1.0
DATABASE_PATIENCE_S = 2.0
"""Pause before a database that did not answer is asked again."""
AWAY_S = 600.0
"""For how long a database may be away before what is being worked on is let go: nobody else can claim it meanwhile."""
STORAGE_PATIENCE_S = 30.0
"""For how long a storage that does not answer is asked again before an evaluation goes back into the queue."""
MOST_ENDING = 2
"""Abandoned evaluations, at most, whose step under way cannot be interrupted, beside the one at work."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


class ClaimLost(Exception):
    """The evaluation was cancelled, or another evaluator has it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The document for a finished job's row, and what makes the rest visible."""

    document: Mapping[str, Any]
    publish: Callable[[], object] | None = None
    figures_bytes: int | None = None


class Evaluator:
    """Works on one evaluation at a time; one that was cancelled may still come to its end beside it."""

    def __init__(
        self,
        bench: Bench,
        jobs: Jobs,
        uploads: Uploads,
        instruments: Instruments,
        tracer: Tracer | None = None,
        peers: Alone | None = None,
    ) -> None:
        self._bench = bench
        self._jobs = jobs
        self._uploads = uploads
        self._instruments = instruments
        self._telling = Telling(instruments, tracer)
        settings = bench.settings
        self._peers = peers or Alone()
        self._workers = Workers(settings.state)
        self._figure_files = FigureFiles(open_storage(settings, patience_s=STORAGE_PATIENCE_S))
        self._tidying = Tidying(
            self._workers,
            Homes(jobs, limit_s=settings.home_limit_s, engines=self._peers.own),
            Lead(jobs.database),
            Retention(settings, jobs, uploads, self._figure_files, bench.references),
        )
        self._owner = ""
        self._leases_hold_until = 0.0
        self._ending: set[asyncio.Task[None]] = set()
        self._called = asyncio.Event()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stopping` is set; what is not over then is queued again."""
        worker = self._workers.enter()
        self._owner = worker.name
        tidying = asyncio.create_task(self._tidying.run())
        hear_no_more = self._jobs.changes.listen(self._hear)
        try:
            while not self.stopping.is_set():
                self._called.clear()
                job = await self._next_if_any()
                if job is not None:
                    await self._work_until_let_go(job)
                else:
                    await self._wait_for_call()
        finally:
            hear_no_more()
            tidying.cancel()
            await asyncio.gather(tidying, *self._ending, return_exceptions=True)
            worker.leave()

    async def _work_until_let_go(self, job: Job) -> None:
        """Work on an evaluation until it is over, or its claim is lost and the next need not wait for its last step."""
        let_go = asyncio.Event()
        work, lost = asyncio.create_task(self._work(job, let_go)), asyncio.create_task(let_go.wait())
        await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        if work.done():
            await work
            return
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)
        if len(self._ending) > MOST_ENDING:
            await asyncio.wait(self._ending, return_when=asyncio.FIRST_COMPLETED)

    def _hear(self, change: Change) -> None:
        if change.may_be_work:
            self._called.set()

    async def _wait_for_call(self) -> None:
        """Do nothing until there may be work, or this process is told to stop."""
        waits = [asyncio.create_task(event.wait()) for event in (self._called, self.stopping)]
        try:
            await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _next_if_any(self) -> Job | None:
        """The evaluation to work on now; also None, after a pause, while the database does not answer."""
        try:
            return await asyncio.to_thread(self._next)
        except DatabaseUnavailable:
            await self._pause(DATABASE_PATIENCE_S)
            # Nobody could renew a lease meanwhile; whoever lives does so now.
            self._leases_hold_until = time.monotonic() + leases.LEASE_S
            self._called.set()
            return None

    def _next(self) -> Job | None:
        """The evaluation to work on now; what a dead evaluator held here need not wait for the end of its lease."""
        glance = self._jobs.glance()
        self._instruments.evaluations_waiting.set(glance.waiting)
        gone = [holder for holder in glance.holders - {self._owner} if self._workers.is_gone(holder)]
        for holder in gone:
            log.warning("%s is gone; what it held is begun again", holder)
            self._jobs.release(holder)
        if not (glance.is_work or gone):
            return None
        return self._jobs.claim(self._owner, abandoned=time.monotonic() > self._leases_hold_until)

    async def _insist(self, ask: Callable[..., T], *arguments: Any) -> T:
        """The database's answer, asked for again and again while it is away. Raises DatabaseUnavailable."""
        until = time.monotonic() + AWAY_S
        while True:
            try:
                return await asyncio.to_thread(ask, *arguments)
            except DatabaseUnavailable:
                if self.stopping.is_set() or time.monotonic() > until:
                    raise
            await self._pause(DATABASE_PATIENCE_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _work(self, job: Job, let_go: asyncio.Event) -> None:
        """Bring one evaluation to its end; without a database to write that into, it is whoever's whose turn comes."""
        try:
            try:
                await self._see_through(job, let_go)
            except StorageUnavailable:
                log.warning("evaluation %s is queued again: the storage does not answer", job.id)
                await self._insist(self._jobs.give_back, job, self._owner)
                await self._pause(STORAGE_PATIENCE_S)
        except DatabaseUnavailable:
            log.warning("evaluation %s is begun again when the database is back", job.id)

    async def _see_through(self, job: Job, let_go: asyncio.Event) -> None:
        """Bring one evaluation to its end, or give it back when this process is told to stop."""
        began = time.monotonic()
        self._telling.begun(job)
        work = asyncio.create_task(self._report(job, let_go))
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not work.done():
            await self._give_back(job, work)
            return
        end = await self._end(job, work)
        if await self._insist(self._jobs.is_open, job.id):
            log.warning("evaluation %s is another evaluator's by now", job.id)
            return
        await self._discard(job)
        self._telling.ended(job, end, time.monotonic() - began)

    async def _discard(self, job: Job) -> None:
        """Delete an upload that nobody needs any more; what cannot be deleted now is swept later."""
        with contextlib.suppress(StorageUnavailable):
            await asyncio.to_thread(self._uploads.discard, job.id)

    async def _give_back(self, job: Job, work: "asyncio.Task[Outcome]") -> None:
        """Queue an evaluation again, before waiting for a step that may outlast the time that is left to stop in."""
        try:
            await self._insist(self._jobs.give_back, job, self._owner)
            log.info("evaluation %s is queued again", job.id)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _end(self, job: Job, work: "asyncio.Task[Outcome]") -> End:
        """Write down how the work on a job ended. Raises DatabaseUnavailable, StorageUnavailable: then it has not."""
        try:
            outcome = work.result()
            ended = await self._insist(self._finish, job, outcome)
        except ClaimLost:
            return End("cancelled")
        except (DatabaseUnavailable, StorageUnavailable):
            raise
        except Exception as error:
            told = as_service_error(error)
            if told is None:
                log.exception("evaluation %s failed", job.id, extra=whose(job))
                told = ServiceError("The failure has been logged under the evaluation's id.")
            failed = await self._insist(self._jobs.fail, job, self._owner, told.problem())
            return End("failed" if failed else "cancelled", error=told)
        return End("finished", outcome.document) if ended else End("cancelled")

    def _finish(self, job: Job, outcome: Outcome) -> bool:
        beside = {"publish": outcome.publish, "figures_bytes": outcome.figures_bytes}
        return self._jobs.finish(job, self._owner, outcome.document, **beside)  # type: ignore[arg-type]

    async def _report(self, job: Job, let_go: asyncio.Event) -> Outcome:
        """The outcome of one job, whose claim is renewed meanwhile. Raises ClaimLost and what the work raises.

        `let_go` is set as soon as the claim is lost, though the step under way may go on.
        """
        progress = 0.0

        def on_progress(share: float) -> None:
            nonlocal progress
            progress = share

        async def renew() -> None:
            while True:
                if not await self._insist(self._jobs.renew, job, self._owner, progress):
                    raise ClaimLost
                await asyncio.sleep(RENEW_S)

        renewal = asyncio.create_task(renew())
        work = asyncio.create_task(self._evaluate(job, on_progress))
        try:
            await asyncio.wait({renewal, work}, return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                let_go.set()
                renewal.result()
            return await work
        finally:
            for task in (renewal, work):
                task.cancel()
            await asyncio.gather(renewal, work, return_exceptions=True)

    async def _evaluate(self, job: Job, on_progress: Progress) -> Outcome:
        begin = self._keep if job.kind == JobKind.REFERENCE else self._measure
        async with self._peers.beside():
            return await begin(job, on_progress)

    def _patient(self, job: Job) -> Bench:
        """The bench for what has been accepted, which waits for engines."""
        return replace(self._bench, engine=PatientEngines(of_one_kind(self._bench.engine), job.request_id))

    async def _measure(self, job: Job, on_progress: Progress) -> Outcome:
        figures_bytes = 0

        def save(figures: Figures) -> None:
            nonlocal figures_bytes
            figures_bytes = self._figure_files.save(job.id, figures)

        with self._uploads.attempt(job.id) as working_dir:
            folder = await self._bring(job, working_dir)
            reference = folder / "reference"
            report = await evaluate(
                EvaluationRequest.model_validate(job.asked),
                replace(self._patient(job), history=self._bench.history.of(job.key)),
                report_id=job.id,
                generated=folder / "generated",
                reference=reference if reference.exists() else None,
                working_dir=working_dir,
                on_progress=on_progress,
                on_figures=save,
            )
        if report.reused is not None:
            figures_bytes = await asyncio.to_thread(self._figure_files.copy, report.reused, job.id)
        return Outcome(report.model_dump(mode="json"), figures_bytes=figures_bytes)

    async def _bring(self, job: Job, working_dir: Path) -> Path:
        """The folder of an evaluation's files on this machine's disk."""
        return await in_thread(lambda stop: self._uploads.bring(job.id, working_dir, stop))

    async def _keep(self, job: Job, on_progress: Progress) -> Outcome:
        with self._uploads.attempt(job.id) as working_dir:
            kept = await store_reference(
                ReferenceRequest.model_validate(job.asked),
                self._patient(job),
                upload=await self._bring(job, working_dir) / "reference",
                working_dir=working_dir,
                on_progress=on_progress,
            )
        return Outcome(kept.summary.model_dump(mode="json"), kept.publish)


def as_service_error(error: Exception) -> ServiceError | None:
    """An error as callers may see it; None for one that nobody foresaw."""
    if isinstance(error, ConfigurationError):
        return ServiceError(str(error))
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return DiskFull("There was no room left on the disk for the evaluation.")
    return error if isinstance(error, ServiceError) else None
