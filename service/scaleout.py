"""The service on a Ray cluster: `serve run service.scaleout:build`. Importing it starts nothing."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict, Field
from ray import serve

from service.api.app import create_app
from service.api.gate import Application
from service.api.scraping import Scraping
from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.wire import carry, listen
from service.evaluation.report.history import JobHistory
from service.evaluation.shared_references import references_of
from service.evaluation.worker import STORAGE_PATIENCE_S, Evaluator
from service.operations.models import forget_replaced
from service.remote.connecting import ENGINE, HUB, engines_over
from service.remote.engines import Outcome, RemoteEngine
from service.remote.hub import Handle, Hub, Report, Word
from service.remote.scaling import ROWS, QueuedRows
from service.remote.wire import HubWire
from service.runtime.calls import Array, Call, Lane
from service.settings import Settings, read_settings
from service.storage.opening import open_storage
from service.store import ModelStore
from service.telemetry.gathering import Families, GatheredInstruments, families_of
from service.telemetry.instruments import Instruments
from service.telemetry.logs import configure_logging
from service.telemetry.readings import Readings
from service.telemetry.vitals import Vitals

GATHER_S = 1.0
"""How long the other processes may take before a scrape goes on without them."""
OPEN = 4096
"""Requests and submissions that one replica may have open: our own limits come before this."""
LOADING_S = 600.0


class Options(BaseModel):
    """What `build` is told: `serve run service.scaleout:build engines=4`, or `args` in a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fronts: int = Field(1, ge=0, description="Replicas that answer HTTP; 0 where `chapterhouse serve` does.")
    engines: int = Field(1, ge=1, description="Engines, at least.")
    most_engines: int = Field(0, ge=0, description="Engines, at most, as rows wait; as many as at least unless set.")
    rows_per_engine: float = Field(64.0, gt=0, description="Rows that wait for each engine before there is one more.")
    gpus_per_engine: float = Field(0.0, ge=0, description="GPUs of an engine: 1, or 0 for engines on the processor.")
    cpus_per_engine: float = Field(1.0, ge=0, description="Cores of an engine.")
    evaluators: int = Field(1, ge=0, description="Replicas that work on evaluations; 0 as with `fronts`.")


def build(options: Options) -> Any:
    """The application: fronts as its ingress, engines, evaluators, and the hub that they meet at."""
    hub = serve.deployment(name=HUB, max_ongoing_requests=OPEN, ray_actor_options={"num_cpus": 0})(HubReplica).bind()
    engine = serve.deployment(
        name=ENGINE,
        max_ongoing_requests=OPEN,
        health_check_timeout_s=LOADING_S,
        ray_actor_options={"num_cpus": options.cpus_per_engine, "num_gpus": options.gpus_per_engine},
        **_how_many(options),
    )(EngineReplica).bind(hub, options.cpus_per_engine)
    if not options.fronts:
        return engine
    others = {"engine": engine}
    if options.evaluators:
        evaluator = serve.deployment(name="evaluator", num_replicas=options.evaluators)(EvaluatorReplica)
        others["evaluator"] = evaluator.bind(engine, hub)
    front = serve.deployment(name="front", num_replicas=options.fronts, max_ongoing_requests=OPEN)
    return front(serve.ingress()(FrontReplica)).bind(hub, **others)


def _how_many(options: Options) -> dict[str, Any]:
    if options.most_engines <= options.engines:
        return {"num_replicas": options.engines}
    policy = {"policy_function": QueuedRows, "policy_kwargs": {"rows_per_engine": options.rows_per_engine}}
    least, most = options.engines, options.most_engines
    return {
        "autoscaling_config": {
            "min_replicas": least,
            "max_replicas": most,
            "metrics_interval_s": 1.0,
            "look_back_period_s": 5.0,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": 600.0,
            "policy": policy,
        }
    }


def _begin(role: str) -> tuple[Settings, str]:
    """The settings of a replica, and its name."""
    settings = read_settings()
    configure_logging(role, settings.log_level, settings.log_format)
    return settings, f"{role}-{serve.get_replica_context().replica_id.unique_id}"


async def _prepare_database(settings: Settings) -> None:
    """Bring it to this version, whichever replica comes first."""
    settings.state.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(migrate, Database.of(settings))


class HubReplica:
    """The one place where all others meet."""

    def __init__(self) -> None:
        self._hub = Hub(set(_begin("hub")[0].wanted_models))

    async def exchange(self, name: str, report: Report) -> Word:
        """Hear a process, and tell it how things stand."""
        return self._hub.exchange(name, report)

    async def want(self, model_id: str) -> None:
        """Have every engine hold a model."""
        self._hub.want(model_id)

    async def unwant(self, model_id: str) -> None:
        """Stop wanting it."""
        self._hub.unwant(model_id)

    async def leave(self, name: str) -> None:
        """Forget an engine that ends."""
        self._hub.leave(name)


class EngineReplica:
    """One device."""

    async def __init__(self, hub: Handle, cores: float) -> None:  # type: ignore[misc] # Ray awaits it
        settings, name = _begin("engine")
        own = ray.get_gpu_ids()
        if not own and not settings.threads:
            settings = settings.model_copy(update={"threads": max(1, int(cores))})
        self._engine = RemoteEngine(settings, "cuda:0" if own else "cpu", hub, name)
        await self._engine.start()

    async def submit(
        self, call: Call, arrays: Sequence[Array], lane: Lane, left_s: float | None, request_id: str
    ) -> Outcome:
        """The answer, or the error that was met."""
        return await self._engine.submit(call, arrays, lane, left_s, request_id)

    async def load(self, model_id: str) -> Outcome:
        """Load and warm a model."""
        return await self._engine.load(model_id)

    async def unload(self, model_id: str) -> Outcome:
        """Let go of a model."""
        return await self._engine.unload(model_id)

    async def families(self) -> tuple[str, Families]:
        """Its instruments as they stand."""
        return self._engine.name, self._engine.families()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What Ray decides by how many engines there are."""
        return {ROWS: float(self._engine.rows_waiting())}

    async def check_health(self) -> None:
        """Raise what the device died of, so that Ray replaces this."""
        self._engine.check()

    async def __del__(self) -> None:
        await self._engine.stop()


class EvaluatorReplica:
    """Works on evaluations, one at a time."""

    async def __init__(self, engines: Handle, hub: Handle) -> None:  # type: ignore[misc] # Ray awaits it
        settings, self._name = _begin("evaluator")
        await _prepare_database(settings)
        store, jobs = ModelStore.of(settings), Jobs.of(settings)
        self._engines = engines_over(engines, hub, self._name)
        self._engines.on_status = partial(forget_replaced, store, self._engines)
        carry(jobs.changes, HubWire(self._engines.member))
        self._instruments = Instruments()
        self._vitals = Vitals(self._instruments.conditions, "evaluator")
        storage = open_storage(settings, patience_s=STORAGE_PATIENCE_S)
        bench = Bench(settings, store, self._engines, references_of(settings, storage), JobHistory(jobs))
        self._evaluator = Evaluator(bench, jobs, Uploads(settings.state, storage), self._instruments)
        await self._engines.start()
        self._listening = asyncio.create_task(listen(jobs.database, jobs.changes))
        self._working = asyncio.create_task(self._evaluator.run())

    async def families(self) -> tuple[str, Families]:
        """Its instruments as they stand."""
        self._vitals.note()
        return self._name, families_of(self._instruments)

    async def check_health(self) -> None:
        """Raise what it ended with, so that Ray replaces this."""
        if self._working.done():
            self._working.result()
            raise RuntimeError("The evaluator has ended.")

    async def __del__(self) -> None:
        self._evaluator.stopping.set()
        self._listening.cancel()
        await asyncio.gather(self._working, self._listening, return_exceptions=True)
        await self._engines.stop()


class FrontReplica:
    """The application behind Ray's proxy, which speaks HTTP for it."""

    def __init__(self, hub: Handle, engine: Handle, evaluator: Handle | None = None) -> None:
        self._settings, self._name = _begin("front")
        self._handles = [handle for handle in (engine, evaluator) if handle is not None]
        self._engines = engines_over(engine, hub, self._name)
        self._instruments = GatheredInstruments(self._name)
        self._vitals = Vitals(self._instruments.conditions, "front")
        self._listening: asyncio.Task[None] | None = None

    async def __serve_build_asgi_app__(self) -> Application:
        """What Ray answers requests with."""
        settings, engines = self._settings, self._engines
        await _prepare_database(settings)
        store = ModelStore.of(settings)
        state = State.of(settings, store=store, engines=engines, control=engines, instruments=self._instruments)
        carry(state.jobs.changes, HubWire(engines.member))
        engines.on_status = partial(forget_replaced, store, engines)
        await engines.start()
        self._listening = asyncio.create_task(listen(state.jobs.database, state.jobs.changes))
        app = create_app(state)
        app.state.scraping = ClusterScraping(state, self._gather, lambda: app.gate.draining)
        app.openapi()
        return app

    async def _gather(self) -> None:
        """Hear the instruments of every other process."""
        self._vitals.note()
        context = serve.get_replica_context()
        fronts = serve.get_deployment_handle(context.deployment, context.app_name)
        told = await asyncio.gather(*(_told_by(handle) for handle in (*self._handles, fronts)))
        self._instruments.told = {
            name: families for some in told for name, families in some.items() if name != self._name
        }

    async def families(self) -> tuple[str, Families]:
        """Its instruments as they stand."""
        self._vitals.note()
        return self._name, families_of(self._instruments)

    async def __del__(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self._engines.stop()


class ClusterScraping(Scraping):
    """The readings of one front, once all others have told their instruments."""

    def __init__(self, state: State, gather: Callable[[], Awaitable[None]], is_draining: Callable[[], bool]) -> None:
        super().__init__(state, is_draining)
        self._gather = gather

    async def read(self, *, draining: bool) -> Readings:
        """How things stand now."""
        await self._gather()
        return await super().read(draining=draining)


async def _told_by(handle: Handle) -> Mapping[str, Families]:
    """The instruments of every replica of a deployment that answers in time."""
    with contextlib.suppress(TimeoutError):
        answers = await handle.broadcast("families").results_async(timeout_s=GATHER_S, return_exceptions=True)
        return dict(answer for answer in answers if not isinstance(answer, BaseException))
    return {}
