"""The evaluator process: claims evaluations one by one, works on them, and puts in the report."""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.errors import ConfigurationError, EngineUnavailable, ServiceError
from service.evaluation.jobs import Job, Jobs
from service.evaluation.pipeline import Bench, Progress, evaluate
from service.evaluation.references import References
from service.evaluation.uploads import Uploads
from service.runtime.lifeline import freeze_garbage, on_terminate, watch_parent
from service.runtime.pool import EnginePool
from service.schemas import EvaluationRequest
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments

log = logging.getLogger(__name__)

POLL_S = 0.1
RENEW_S = 1.0
ENGINE_TRIES = 5
"""How often an evaluation is begun because no engine answered, before that is its end."""
ENGINE_PATIENCE_S = 2.0
"""Pause before it is begun again."""


class ClaimLost(Exception):
    """The evaluation was cancelled, or another evaluator has it."""


class Evaluator:
    """Works on one evaluation at a time."""

    def __init__(self, bench: Bench, jobs: Jobs, uploads: Uploads, instruments: Instruments) -> None:
        self._bench = bench
        self._jobs = jobs
        self._uploads = uploads
        self._instruments = instruments
        instruments.begin_at_zero(instruments.evaluations, "finished", "failed", "cancelled")
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stopping` is set; what is not over then is queued again."""
        self._uploads.sweep(self._jobs.ids())
        while not self.stopping.is_set():
            self._instruments.evaluations_waiting.set(await asyncio.to_thread(self._jobs.waiting))
            job = await asyncio.to_thread(self._jobs.claim, self._owner)
            if job is not None:
                await self._work(job)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), POLL_S)

    async def _work(self, job: Job) -> None:
        """Bring one evaluation to its end, or give it back when this process is told to stop."""
        began = time.monotonic()
        work = asyncio.create_task(self._report(job))
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await asyncio.to_thread(self._jobs.give_back, job, self._owner)
            log.info("evaluation %s is queued again", job.id)
            return
        try:
            report = work.result()
        except ClaimLost:
            status = "cancelled"
        except (ServiceError, ConfigurationError) as error:
            status = await self._fail(job, error)
        except Exception:
            log.exception("evaluation %s failed", job.id)
            status = await self._fail(job, ServiceError("The failure has been logged under the evaluation's id."))
        else:
            held = await asyncio.to_thread(self._jobs.finish, job, self._owner, report)
            status = "finished" if held else "cancelled"
        self._uploads.discard(job.id)
        self._instruments.evaluations.labels(status).inc()
        self._instruments.evaluation_seconds.observe(time.monotonic() - began)

    async def _fail(self, job: Job, error: ServiceError | ConfigurationError) -> str:
        problem = ServiceError(str(error)).problem() if isinstance(error, ConfigurationError) else error.problem()
        await asyncio.to_thread(self._jobs.fail, job, self._owner, problem)
        return "failed"

    async def _report(self, job: Job) -> dict[str, Any]:
        """The report of one evaluation, its claim renewed meanwhile. Raises ClaimLost and what the work raises."""
        progress = 0.0

        def on_progress(share: float) -> None:
            nonlocal progress
            progress = share

        async def renew() -> None:
            while True:
                if not await asyncio.to_thread(self._jobs.renew, job, self._owner, progress):
                    raise ClaimLost
                await asyncio.sleep(RENEW_S)

        renewal = asyncio.create_task(renew())
        work = asyncio.create_task(self._evaluate(job, on_progress))
        try:
            await asyncio.wait({renewal, work}, return_when=asyncio.FIRST_COMPLETED)
            if renewal.done():
                renewal.result()
            return await work
        finally:
            for task in (renewal, work):
                task.cancel()
            await asyncio.gather(renewal, work, return_exceptions=True)

    async def _evaluate(self, job: Job, on_progress: Progress) -> dict[str, Any]:
        folder = self._uploads.folder(job.id)
        reference = folder / "reference"
        tries = ENGINE_TRIES
        while True:
            try:
                report = await evaluate(
                    EvaluationRequest.model_validate(job.request),
                    self._bench,
                    report_id=job.id,
                    generated=folder / "generated",
                    reference=reference if reference.exists() else None,
                    working_dir=folder,
                    on_progress=on_progress,
                )
            except EngineUnavailable:
                tries -= 1
                if not tries:
                    raise
                await asyncio.sleep(ENGINE_PATIENCE_S)
            else:
                return report.model_dump(mode="json")


async def run_evaluator(settings: Settings, *, sockets: Sequence[Path], parent_pipe: int) -> None:
    """Evaluate until SIGTERM."""
    watch_parent(parent_pipe)
    engines = EnginePool(sockets)
    await engines.start()
    store = ModelStore(settings.added_models_dir, settings.shipped_models_dir)
    references = References.of(settings)
    evaluator = Evaluator(
        Bench(settings, store, engines, references),
        Jobs(settings.database),
        Uploads(settings.state),
        Instruments(),
    )
    on_terminate(evaluator.stopping.set)
    freeze_garbage()
    await evaluator.run()
    await engines.stop()
