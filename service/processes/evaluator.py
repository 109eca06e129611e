"""The evaluator process: evaluations from the queue, one after the other, through the engines of this service."""

from collections.abc import Sequence
from pathlib import Path

from service.evaluation.pipeline import Bench
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.references import References
from service.evaluation.report.history import JobHistory
from service.evaluation.worker import Evaluator
from service.processes.lifeline import freeze_garbage, on_terminate, watch_parent
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments


async def run_evaluator(settings: Settings, *, sockets: Sequence[Path], parent_pipe: int) -> None:
    """Evaluate until the supervisor ends it."""
    watch_parent(parent_pipe)
    engines = EnginePool(sockets)
    await engines.start()
    store = ModelStore.of(settings)
    jobs = Jobs.of(settings)
    evaluator = Evaluator(
        Bench(settings, store, engines, References.of(settings), JobHistory(jobs)),
        jobs,
        Uploads(settings.state),
        Instruments(),
    )
    on_terminate(evaluator.stopping.set)
    freeze_garbage()
    await evaluator.run()
    await engines.stop()
