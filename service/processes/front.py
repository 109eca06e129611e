"""The front process: the application on uvicorn, over the socket that the supervisor bound."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import uvicorn

from service.api import connections
from service.api.app import create_app
from service.api.connections import Connections
from service.api.gate import Application, Gate
from service.api.protocol import Connection
from service.api.state import State
from service.processes.descriptors import raise_descriptor_limit
from service.processes.lifeline import freeze_garbage, on_terminate, watch_parent
from service.processes.memory import MemoryReturn, share_heap
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.logs import quieten

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Uvicorn with our protocol, told to stop by the drain and not by signals of its own."""

    @classmethod
    def of(cls, app: Application, *, descriptors: int | None = None) -> Self:
        """A server of this application that may have so many file descriptors."""
        config = uvicorn.Config(
            app,
            http=partial(Connection, Connections(app.gate, descriptors=descriptors)),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(app.gate.settings.drain_timeout_s) + 1,
        )
        return cls(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run_front(
    settings: Settings,
    *,
    listen_fd: int,
    sockets: Sequence[Path],
    control: Path,
    metrics_dir: Path,
    parent_pipe: int,
) -> None:
    """Serve until SIGTERM, then refuse new work, finish what is open, and return."""
    watch_parent(parent_pipe)
    share_heap()
    store = ModelStore.of(settings)
    engines = EnginePool(sockets)
    supervisor = EnginePool([control])
    await engines.start()
    await supervisor.start()
    state = State.of(settings, store=store, engines=engines, control=supervisor, metrics_dir=metrics_dir)

    def forget_stale() -> None:
        for model_id, loaded in engines.models().items():
            store.refresh_unless(model_id, loaded.version)

    engines.on_status = forget_stale
    app = create_app(state)
    app.gate.memory.on_much_returned = MemoryReturn().soon
    quieten("asyncio", "uvicorn.error", connections.__name__)
    server = Server.of(app, descriptors=raise_descriptor_limit())
    drains: list[asyncio.Task[None]] = []
    on_terminate(lambda: drains.append(asyncio.create_task(_drain(app.gate, server, settings.drain_delay_s))))
    app.openapi()
    freeze_garbage()
    with socket.socket(fileno=listen_fd) as listening:
        await server.serve([listening])
    await state.readers.stop()
    await engines.stop()
    await supervisor.stop()


async def _drain(gate: Gate, server: Server, delay_s: float) -> None:
    """Refuse new work at once; close the listener when load balancers have had time to notice."""
    gate.draining = True
    await asyncio.sleep(delay_s)
    server.should_exit = True
