"""One front on a real port, as its process has it, and what no HTTP library sends to it."""

import asyncio
import contextlib
import http.client
import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import uvloop
from doubles import images
from waiting import PATIENCE_S, eventually, until

from service.api.connections.protocol import Connection
from service.api.gate import Application
from service.imaging import encode_png
from service.processes.front import Server

PICTURE = encode_png(images(1)[0])
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"

GARBAGE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "proxy": b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "both": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "path": "GET /ä HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "chunk": b"POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnothing\r\n",
}
"""What is no HTTP."""


class Stream(io.BufferedReader):
    """What comes over a socket. Each answer is read from where the one before it ended."""

    def makefile(self, _mode: str) -> "Stream":
        """Itself, for `http.client`."""
        return self

    def close(self) -> None:
        """Stay open: an answer that is over is not the end."""


class Caller:
    """One connection, byte by byte."""

    def __init__(self, address: tuple[str, int], *, host: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind((host, 0))
        self.socket.connect(address)
        self._stream = Stream(socket.SocketIO(self.socket, "rb"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> "Caller":
        """Send some bytes."""
        self.socket.sendall(data)
        return self

    def say_until_closed(self, data: bytes) -> int:
        """Send the same bytes again and again until nobody takes them; how often."""
        for count in range(1_000_000):
            with contextlib.suppress(ConnectionError):
                self.socket.sendall(data)
                continue
            return count
        raise AssertionError("nobody minds")

    def end(self) -> "Caller":
        """Say that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Hang up without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def answer(self, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
        """The next answer, and its body."""
        reply = http.client.HTTPResponse(self._stream, method=method)  # type: ignore[arg-type]
        reply.begin()
        return reply, reply.read()

    def line(self) -> bytes:
        """The next line."""
        return self._stream.readline()

    def everything(self) -> bytes:
        """All that comes until the other side closes."""
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self._stream.read1():
                said += piece
        return said


class ClockworkLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still, however slow the machine is, until tests put it forward or let it go."""

    def __init__(self) -> None:
        self.stands_at, self._goes_since = 0.0, float("inf")
        super().__init__()

    def time(self) -> float:
        """Where it stands, and how long it has gone."""
        return self.stands_at + max(0.0, super().time() - self._goes_since)

    def go(self) -> None:
        """Have it go like any other from now on."""
        self._goes_since = min(self._goes_since, super().time())


@dataclass(eq=False)
class Front:
    """A front that runs."""

    app: Application
    address: tuple[str, int]
    loop: asyncio.AbstractEventLoop
    server: Server
    callers: list[Caller] = field(default_factory=list)

    def caller(self, *, host: str = "127.0.0.1", receive_buffer: int | None = None) -> Caller:
        """A new connection to it, from an address of this machine; it is closed at the latest when the front ends."""
        self.callers.append(Caller(self.address, host=host, receive_buffer=receive_buffer))
        return self.callers[-1]

    def do(self, action: Callable[[], object]) -> None:
        """Do something between its events, and wait for that."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(action)
        self.loop.call_soon_threadsafe(done.set)
        assert done.wait(PATIENCE_S)

    def wait_for_headers(self, count: int) -> None:
        """Wait until so many lines of headers have come, on the only connection, of a request that is on its way."""
        self.wait_for_connections(1)
        until(lambda: self.headers_of_one() == count)

    def wait_for_memory(self, size: int) -> None:
        """Wait until so much of what was sent is held."""
        until(lambda: self.app.gate.memory.taken == size)

    def let_pass(self, seconds: float) -> None:
        """Put its clock forward, once it has read what had come to it."""
        assert isinstance(self.loop, ClockworkLoop)
        loop = self.loop
        for _ in range(3):
            self.do(lambda: None)

        def pass_time() -> None:
            loop.stands_at += seconds

        self.do(pass_time)

    def let_pass_until_closed(self, seconds: float) -> None:
        """Put its clock forward, again where it read something only then, until it has closed every connection."""

        def all_closed() -> bool:
            self.let_pass(seconds)
            return not self.server.server_state.connections

        until(all_closed)

    def wait_for_connections(self, count: int) -> None:
        """Wait until so many are open."""
        until(lambda: len(self.server.server_state.connections) == count)

    def headers_of_one(self) -> int:
        """How many lines of headers have come on the only connection, of the request whose head is on its way."""
        [connection] = self.server.server_state.connections
        assert isinstance(connection, Connection)
        return len(connection.headers) if connection.scope and "method" not in connection.scope else -1

    @property
    def rejected(self) -> dict[str, float]:
        """How often it refused or gave up what, so far."""
        samples = next(iter(self.app.gate.instruments.rejected.collect())).samples
        return {s.labels["reason"]: s.value for s in samples if s.name.endswith("_total") and s.value}

    def wait_for_end(self) -> None:
        """Wait until every connection is over and nothing is held any more; from here on its clock goes."""
        if isinstance(self.loop, ClockworkLoop):
            self.do(self.loop.go)
        gate = self.app.gate
        until(lambda: not self.server.server_state.connections)
        until(lambda: (gate.open, gate.working, gate.memory.taken) == (0, 0, 0))


@contextmanager
def serving(
    app: Application, new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
) -> Iterator[Front]:
    """The application on a port of this machine until the context ends."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    loop, server = new_loop(), Server.of(app)

    async def serve() -> None:
        await server.serve([listening])
        for connection in [*server.server_state.connections]:
            assert isinstance(connection, Connection)
            connection.transport.abort()
        for task in [*server.server_state.tasks]:
            task.cancel()
        await eventually(lambda: not (server.server_state.connections or server.server_state.tasks))
        await app.state.shared.readers.stop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    thread = threading.Thread(target=run, daemon=True)
    front = Front(app, listening.getsockname(), loop, server)
    thread.start()
    try:
        until(lambda: server.started)
        yield front
    finally:
        for caller in front.callers:
            caller.socket.close()
        if isinstance(loop, ClockworkLoop):
            loop.call_soon_threadsafe(loop.go)
        server.force_exit = True
        loop.call_soon_threadsafe(setattr, server, "should_exit", True)  # noqa: FBT003
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the front has not ended"
        loop.close()


def whole(body: bytes = PICTURE) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % len(body) + body


def assert_lives(front: Front) -> None:
    with front.caller(host="127.0.0.9") as other:
        assert other.say(LIVE).answer()[0].status == 200


def assert_last_problem(caller: Caller, status: int, detail: str = "") -> None:
    reply, body = caller.answer()
    assert reply.status == status, body
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["connection"] == "close"
    assert reply.headers["x-request-id"]
    assert detail in json.loads(body)["detail"]
    assert caller.everything() == b""


class Slow:
    """A route that answers when it is told to."""

    def __init__(self, app: Application) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()

        @app.get("/slow")
        async def slow() -> str:
            self.asked.set()
            await asyncio.to_thread(self.answer.wait, PATIENCE_S)
            return "slowly"
