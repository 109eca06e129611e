"""A way to an application as its clients have it: over a socket and our own server, in the event loop of the test."""

import socket
from typing import Self

import httpx

from service.api.gate import Application
from service.processes.front import Server


class Wire(httpx.AsyncBaseTransport):
    """Sends requests to a front of its own, whatever host they name."""

    def __init__(self, app: Application, *, directly: bool) -> None:
        self._keyring = app.gate.guard.keyring
        if not directly:
            app.gate.direct_paths.clear()
        self._server = Server.of(app)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._sender = httpx.AsyncHTTPTransport()

    async def __aenter__(self) -> Self:
        await self._keyring.read_again()  # the first request would wait for that, and nothing direct waits
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup([self._socket])
        await self._sender.__aenter__()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Have one request answered."""
        address, port = self._socket.getsockname()
        request.url = request.url.copy_with(scheme="http", host=address, port=port)
        return await self._sender.handle_async_request(request)

    async def aclose(self) -> None:
        """Hang up, and listen no more."""
        await self._sender.aclose()
        for acceptor in self._server.servers:
            acceptor.close()
            await acceptor.wait_closed()
        self._socket.close()
