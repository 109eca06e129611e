"""One request and its answer, as uvicorn keeps them: given up, answered in one piece, or to HTTP/1.0 without chunks."""

import asyncio
import socket
from collections.abc import Iterable, Sized

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

SHORT_BYTES = 1 << 16
"""An answer no longer than this goes out with its head."""
SPECIAL = (b"connection", b"transfer-encoding")
"""Headers that say how an answer is sent: uvicorn sees to them."""


def abandon(cycle: RequestResponseCycle) -> None:
    """Tell a request that its client is gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


async def run(cycle: RequestResponseCycle, app: ASGIApp, behind: Sized) -> None:
    """Answer one request; not one with others behind it on its connection, if their client has hung up already.

    Whoever sends many and resets the connection costs no more than their heads: what has been read of it is whole, and
    the event loop would hear of the reset with its next look.
    """
    if behind and _was_reset(cycle.transport):
        cycle.transport.abort()
        return
    way = unchunked if cycle.scope["http_version"] == "1.0" else in_one_piece
    await cycle.run_asgi(way(cycle, app))  # type: ignore[arg-type] # uvicorn's words for what Starlette's say


def _was_reset(transport: asyncio.Transport) -> bool:
    connection = transport.get_extra_info("socket")
    if transport.is_closing() or connection is None:
        return transport.is_closing()
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def in_one_piece(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """The application, for one request: a short answer of known length takes one write instead of two."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, _Sender(cycle, send).send)

    return answer


class _Sender:
    """Keeps the head of a short answer until its body comes; whatever is not plain it leaves to uvicorn."""

    __slots__ = ("_cycle", "_head", "_send", "_start")

    def __init__(self, cycle: RequestResponseCycle, send: Send) -> None:
        self._cycle = cycle
        self._send = send
        self._start: Message | None = None
        self._head: list[bytes] = []

    async def send(self, message: Message) -> None:
        start, self._start = self._start, None
        if start is None and self._keeps(message):
            self._start = message
            return
        if start is not None:
            if self._complete(message):
                return
            self._cycle.response_started = False
            await self._send(start)
        await self._send(message)

    def _keeps(self, message: Message) -> bool:
        """Whether this is the head of a short answer, which is written down then."""
        cycle = self._cycle
        if message["type"] != "http.response.start" or cycle.response_started or not cycle.keep_alive:
            return False
        if cycle.scope["method"] == "HEAD" or cycle.chunked_encoding is not None:
            return False
        headers = list(message.get("headers", ()))
        length = _length(headers)
        if length is None or any(name in SPECIAL for name, _ in headers):
            return False
        names, values = zip(*headers, strict=True)
        if HEADER_RE.search(b"".join(names)) or HEADER_VALUE_RE.search(b"".join(values)):
            return False
        lines = [b"%s: %s\r\n" % header for header in (*cycle.default_headers, *headers)]
        self._head = [STATUS_LINE[message["status"]], *lines, b"\r\n"]
        cycle.expected_content_length = length
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        return True

    def _complete(self, message: Message) -> bool:
        """Write head and body, if this is all of the body and the client is there to take it."""
        cycle, body = self._cycle, message.get("body", b"")
        if message.get("more_body", False) or len(body) != cycle.expected_content_length:
            return False
        if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive:
            return False
        cycle.transport.write(b"".join([*self._head, body]))
        cycle.expected_content_length = 0
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """What a short answer says of its length."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) < len(str(SHORT_BYTES)):
            return int(value)
    return None


def unchunked(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """The application, for one request of HTTP/1.0: an answer of unknown length ends with the connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.start":
                if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                    cycle.chunked_encoding = False
            elif cycle.chunked_encoding is False and not cycle.expected_content_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return answer
