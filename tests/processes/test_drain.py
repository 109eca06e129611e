"""However a service is told to end, every client on an open connection is answered before that is closed."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from serving import Service
from starlette.types import Receive, Scope, Send
from waiting import PATIENCE_S, eventually, until

from service.imaging import encode_png
from service.processes.front import Server

PICTURE = encode_png(np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8))
REQUEST = b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s" % (
    len(PICTURE),
    PICTURE,
)
CLIENTS = 16


async def ask_until_told_to_go(port: int, ready: asyncio.Barrier, goes_on: asyncio.Event) -> str:
    """One client on one connection: how its last request was answered, or what became of the connection.

    Once it has been answered it is silent until it `goes_on`.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = 0
    with contextlib.closing(writer):
        while True:
            try:
                writer.write(REQUEST)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                return type(error).__name__
            if b"\r\nconnection: close\r\n" in head:
                return head.split()[1].decode()
            assert head.startswith(b"http/1.1 200"), head
            asked += 1
            if asked == 1:
                await ready.wait()
                await goes_on.wait()


async def ends_of_clients(service: Service, number: int) -> Counter[str]:
    """How clients ended, half of them silent, while all processes of the service were sent a signal."""
    port = int(service.url.rpartition(":")[2])
    ready, at_once, later = asyncio.Barrier(CLIENTS + 1), asyncio.Event(), asyncio.Event()
    at_once.set()
    asking = [
        asyncio.create_task(ask_until_told_to_go(port, ready, later if place % 2 else at_once))
        for place in range(CLIENTS)
    ]
    await ready.wait()
    os.killpg(service.process.pid, number)
    await asyncio.to_thread(until, lambda: not service.is_ready())
    later.set()
    async with asyncio.timeout(PATIENCE_S):
        return Counter(await asyncio.gather(*asking))


async def last_answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that answers everything as a front does that ends."""
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def test_a_connection_that_nobody_has_taken_is_answered_before_the_listener_closes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(uvicorn.Config(last_answer, lifespan="off", log_config=None, timeout_graceful_shutdown=120))
        serving = asyncio.create_task(server.serve([listening]))
        await eventually(lambda: server.started)
        # From here to the shutdown the event loop does not turn, so that it cannot take the connection.
        with socket.create_connection(listening.getsockname(), timeout=PATIENCE_S) as client:
            client.sendall(REQUEST)
            await server.shutdown([listening])
            assert client.recv(4096).startswith(b"HTTP/1.1 503")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM to all, as systemd does", "Ctrl-C"])
async def test_no_client_on_an_open_connection_goes_without_an_answer(tmp_path: Path, number: int) -> None:
    # Who is silent is waited for one second at the end of a drain, in which a slow machine may not come to ask.
    with Service(tmp_path, FRONTS=2, DRAIN_DELAY_S=3) as service:
        service.wait_until_ready()
        ended = await ends_of_clients(service, number)
        assert set(ended) <= {"200", "503"}, ended
        assert service.exit_status() == 0
        assert "Traceback" not in service.log
        assert "starting it again" not in service.log
