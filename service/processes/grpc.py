"""The grpc process: the Open Inference Protocol over gRPC, with the same engines, keys and limits as a front."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from service.api.app import create_app
from service.api.gate import Gate
from service.api.state import State
from service.errors import ConfigurationError
from service.operations.models import forget_replaced
from service.processes.lifeline import beat, freeze_garbage, on_terminate, watch_parent
from service.processes.tokens import read_local_token
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.traces import tracer_of
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)


async def run_grpc(
    settings: Settings,
    *,
    http_port: int,
    sockets: Sequence[Path],
    control: Path,
    metrics_dir: Path,
    parent_pipe: int,
) -> None:
    """Serve until the supervisor ends it, then refuse new work, finish what is open, and return."""
    try:
        from service.rpc.server import bind, create_server
    except ImportError as error:
        raise ConfigurationError(
            "CHAPTERHOUSE_GRPC_PORT needs a package that is not installed: pip install 'chapterhouse[grpc]'."
        ) from error
    watch_parent(parent_pipe)
    store = ModelStore.of(settings)
    engines, supervisor = EnginePool(sockets), EnginePool([control])
    state = State.of(
        settings,
        store=store,
        engines=engines,
        control=supervisor,
        metrics_dir=metrics_dir,
        limits_dir=control.parent / "limits",
        local_token=read_local_token(settings, http_port),
    )
    app = create_app(state)
    app.gate.noting.trace(tracer_of(settings, "grpc"))
    server = create_server(app, settings)
    assert settings.grpc_port is not None
    port = bind(server, settings.host, settings.grpc_port)
    await engines.start()
    await supervisor.start()
    engines.on_status = partial(forget_replaced, store, engines)
    drains: list[asyncio.Task[None]] = []
    on_terminate(lambda: drains.append(asyncio.create_task(_drain(app.gate, server, settings))))
    freeze_garbage()
    beat(parent_pipe, settings.beat_s, also=Vitals(state.instruments.conditions, "grpc").note)
    await server.start()
    log.info("serving gRPC on %s:%d", settings.host, port)
    await server.wait_for_termination()
    await state.readers.stop()
    await engines.stop()
    await supervisor.stop()
    await asyncio.to_thread(app.gate.noting.tracer.flush)
    state.instruments.tally.flush()


async def _drain(gate: Gate, server: Any, settings: Settings) -> None:
    """Refuse new work at once; close the listener when load balancers have had time to notice."""
    gate.draining = True
    await asyncio.sleep(settings.drain_delay_s)
    await server.stop(settings.drain_timeout_s)
