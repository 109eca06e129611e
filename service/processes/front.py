"""The front process: the application on uvicorn, over the socket that the supervisor bound."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import uvicorn

from service.api.app import create_app
from service.api.gate import Gate
from service.api.state import State
from service.errors import Draining
from service.evaluation.queue.wire import carry, listen
from service.operations.models import forget_replaced
from service.processes.lifeline import beat, freeze_garbage, on_terminate, watch_parent
from service.processes.tokens import read_local_token
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.store import ModelStore

log = logging.getLogger(__name__)

TICK_S = 1.0


LAST_WORDS_S = 2.0
LAST_WORDS_SHARE = 0.25
"""Of the drain's time, what is kept for answering those who will get no other answer; the less of the two."""


class Server(uvicorn.Server):
    """Uvicorn, told to stop by the drain and not by signals of its own; idle, it wakes once a second for the date."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._ending = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether it was told to stop."""
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        (self._ending.set if ends else self._ending.clear)()

    async def main_loop(self) -> None:
        """Called by uvicorn, whose own looks ten times a second whether it should stop."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), TICK_S)

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
    store = ModelStore.of(settings)
    engines = EnginePool(sockets)
    supervisor = EnginePool([control])
    listening = socket.socket(fileno=listen_fd)
    state = State.of(
        settings,
        store=store,
        engines=engines,
        control=supervisor,
        metrics_dir=metrics_dir,
        limits_dir=control.parent / "limits",
        local_token=read_local_token(settings, listening.getsockname()[1]),
    )
    carry(state.jobs.changes, supervisor)
    await engines.start()
    await supervisor.start()
    listening_for_changes = asyncio.create_task(listen(state.jobs.database, state.jobs.changes))
    engines.on_status = partial(forget_replaced, store, engines)
    app = create_app(state)
    server = Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the guard knows which proxies are believed
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(settings.drain_timeout_s) + 1,
        )
    )
    drains: list[asyncio.Task[None]] = []
    on_terminate(lambda: drains.append(asyncio.create_task(_drain(app.gate, server, engines, settings))))
    app.openapi()
    freeze_garbage()
    beat(parent_pipe, settings.beat_s)
    with listening:
        await server.serve([listening])
    listening_for_changes.cancel()
    await asyncio.gather(listening_for_changes, return_exceptions=True)
    await state.readers.stop()
    await engines.stop()
    await supervisor.stop()


async def _drain(gate: Gate, server: Server, engines: EnginePool, settings: Settings) -> None:
    """Refuse new work at once; close the listener when load balancers have had time to notice.

    Whoever still waits for an engine when the time is nearly over is answered that it was not enough.
    """
    gate.draining = True
    await asyncio.sleep(settings.drain_delay_s)
    server.should_exit = True
    last_words_s = min(LAST_WORDS_S, settings.drain_timeout_s * LAST_WORDS_SHARE)
    await asyncio.sleep(settings.drain_timeout_s - last_words_s)
    engines.give_up(Draining("This instance is shutting down, and its engines have not answered in time."))
