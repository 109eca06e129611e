"""The front process: the application on uvicorn, over the socket that the supervisor bound."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.utils import formatdate
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import uvicorn
from uvicorn.server import ServerState

from service.api.app import create_app
from service.api.connections import limits
from service.api.connections.accepting import Acceptor
from service.api.connections.direct import DirectConnection
from service.api.connections.limits import Connections
from service.api.gate import Application, Gate
from service.api.state import State
from service.errors import Draining
from service.evaluation.queue.wire import carry, listen
from service.operations.models import forget_replaced
from service.processes.descriptors import raise_descriptor_limit
from service.processes.lifeline import beat, collect_rarely, freeze_garbage, on_terminate, watch_parent
from service.processes.memory import MemoryReturn, keep_stacks_small, share_heap
from service.processes.tokens import read_local_token
from service.runtime.pool import EnginePool
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.logs import quieten
from service.telemetry.traces import tracer_of
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)

FAREWELL_S = 1.0
"""How long connections that ask nothing stay open when the service ends: whoever asks meanwhile is answered."""
LOOK_S = 0.02
SWITCH_S = 0.0005
"""For which a thread may hold the interpreter while another wants it: so long the event loop waits for each that works
beside it, on uploads or the database; by default it is ten times as long."""
LAST_WORDS_S = 2.0
LAST_WORDS_SHARE = 0.25
"""Of the drain's time, what is kept for answering those who will get no other answer; the less of the two."""


class Dated(ServerState):
    """Uvicorn's state of a server, in which each answer finds the date of its own second: nothing ticks for that."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every answer."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._headers = [(b"date", formatdate(second, usegmt=True).encode())]
        return self._headers

    @default_headers.setter
    def default_headers(self, given: list[tuple[bytes, bytes]]) -> None:
        """Called by uvicorn, which has none at the beginning."""


class Server(uvicorn.Server):
    """Uvicorn with our protocol, told to stop by the drain and not by signals of its own; idle, it sleeps."""

    def __init__(self, config: uvicorn.Config, *, whose: Callable[[Any], str] = itemgetter(0)) -> None:
        self._ending = asyncio.Event()
        self._whose = whose
        super().__init__(config)
        self.server_state = Dated()

    @property
    def should_exit(self) -> bool:
        """Whether it was told to stop."""
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        (self._ending.set if ends else self._ending.clear)()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen by acceptors of our own."""
        await super().startup([])
        for listening in sockets or ():
            listening.listen(self.config.backlog)
            acceptor = Acceptor(listening, self._begin, self._whose)
            await acceptor.start_serving()
            self.servers.append(acceptor)  # type: ignore[arg-type] # it is closed like one, and nothing else

    async def _begin(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    async def main_loop(self) -> None:
        """Called by uvicorn, whose own looks ten times a second whether it should stop."""
        await self._ending.wait()

    @classmethod
    def of(cls, app: Application, *, descriptors: int | None = None) -> Self:
        """A server of this application that may have so many file descriptors."""
        everyone = Connections(app.gate, descriptors=descriptors)
        config = uvicorn.Config(
            app,
            http=partial(DirectConnection, everyone),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the guard knows which proxies are believed
            timeout_graceful_shutdown=int(app.gate.settings.drain_timeout_s) + 1,
        )
        return cls(config, whose=lambda peer: everyone.client_at(peer[:2]))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and answer what still comes on those that are open before they are closed.

        By now every answer says that it is the last of its connection. Who asks nothing for so long will see that the
        connection is closed before it asks again.
        """
        waiting = [connection for listening in sockets or () for connection in _waiting_at(listening)]
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for server in self.servers:
            await server.wait_closed()
        for connection in waiting:
            await self._begin(connection)
        farewell_s = min(FAREWELL_S, (self.config.timeout_graceful_shutdown or 0) / 2)
        for _ in range(round(farewell_s / LOOK_S)):
            if self.server_state.connections:
                await asyncio.sleep(LOOK_S)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        """The protocol of one connection, as uvicorn makes it."""
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _waiting_at(listening: socket.socket) -> Iterator[socket.socket]:
    """The connections that clients have made and nobody has taken: the system would reset them with their listener."""
    listening.settimeout(0)
    with suppress(OSError):  # none waits any more, or there is no descriptor for another
        while True:
            connection, _ = listening.accept()
            yield connection


async def run_front(
    settings: Settings,
    *,
    listen_fd: int,
    sockets: Sequence[Path],
    control: Path,
    metrics_dir: Path,
    parent_pipe: int,
) -> None:
    """Serve until the supervisor ends it, then refuse new work, finish what is open, and return."""
    watch_parent(parent_pipe)
    sys.setswitchinterval(SWITCH_S)
    share_heap()
    keep_stacks_small()
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
    app.gate.noting.trace(tracer_of(settings, "front"))
    app.gate.memory.on_much_returned = MemoryReturn().soon
    quieten("asyncio", "uvicorn.error", limits.__name__)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # the last word of a start is where it serves
    server = Server.of(app, descriptors=raise_descriptor_limit())
    drains: list[asyncio.Task[None]] = []
    on_terminate(lambda: drains.append(asyncio.create_task(_drain(app.gate, server, engines, settings))))
    app.openapi()
    freeze_garbage()
    collect_rarely()
    vitals = Vitals(state.instruments.conditions, "front", helpers=state.readers.processes)
    beat(parent_pipe, settings.beat_s, also=vitals.note)
    with listening:
        await server.serve([listening])
    listening_for_changes.cancel()
    await asyncio.gather(listening_for_changes, return_exceptions=True)
    await state.readers.stop()
    await engines.stop()
    await supervisor.stop()
    await asyncio.to_thread(app.gate.noting.tracer.flush)
    await asyncio.to_thread(state.jobs.database.close)
    state.instruments.tally.flush()


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
