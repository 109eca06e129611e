"""The evaluator process: evaluations from the queue, one after the other, through the engines of this service."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from service.evaluation.peers import peers_of
from service.evaluation.pipeline import Bench
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.wire import carry, listen
from service.evaluation.report.history import JobHistory
from service.evaluation.shared_references import references_of
from service.evaluation.worker import STORAGE_PATIENCE_S, Evaluator
from service.operations.models import forget_replaced
from service.processes.lifeline import beat, freeze_garbage, on_terminate, watch_parent
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.storage.opening import open_storage
from service.store import ModelStore
from service.telemetry.instruments import Instruments
from service.telemetry.traces import tracer_of
from service.telemetry.vitals import Vitals

NICENESS = 5
"""Somebody waits for an answer of a front, nobody for the last tenth of a second of an evaluation."""


async def run_evaluator(settings: Settings, *, sockets: Sequence[Path], control: Path, parent_pipe: int) -> None:
    """Evaluate until the supervisor ends it."""
    watch_parent(parent_pipe)
    os.nice(NICENESS)
    engines = EnginePool(sockets)
    supervisor = EnginePool([control])
    store = ModelStore.of(settings)
    engines.on_status = partial(forget_replaced, store, engines)
    jobs = Jobs.of(settings, kept=1)
    carry(jobs.changes, supervisor)
    await engines.start()
    await supervisor.start()
    listening = asyncio.create_task(listen(jobs.database, jobs.changes))
    instruments = Instruments()
    storage = open_storage(settings, patience_s=STORAGE_PATIENCE_S)
    bench = Bench(settings, store, engines, references_of(settings, storage), JobHistory(jobs))
    tracer = tracer_of(settings, "evaluator")
    peers = peers_of(settings, jobs, engines, sockets)
    evaluator = Evaluator(bench, jobs, Uploads(settings.state, storage), instruments, tracer, peers)
    on_terminate(evaluator.stopping.set)
    freeze_garbage()
    beat(parent_pipe, settings.beat_s, also=Vitals(instruments.conditions, "evaluator").note)
    await evaluator.run()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await supervisor.stop()
    await engines.stop()
    await asyncio.to_thread(tracer.flush)
    await asyncio.to_thread(jobs.database.close)
