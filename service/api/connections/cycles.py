"""One request and its answer, as uvicorn keeps them: given up, answered in one piece, or to HTTP/1.0 without chunks."""

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence, Sized
from functools import lru_cache
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from service.api.outgoing import WHOLE, lines_of
from service.api.presence import PRESENCE, Presence, presence_of

SHORT_BYTES = 1 << 16
"""An answer no longer than this goes out with its head."""
AUTHORITY = re.compile(rb"[^:/?#]+://([^/?#]+)")
"""The beginning of a target that names a host."""
TARGET_BYTES = 256
"""A target no longer than this is remembered, understood."""
SPECIAL = frozenset({b"connection", b"transfer-encoding"})
"""Headers that say how an answer is sent: uvicorn sees to them."""


def abandon(cycle: RequestResponseCycle) -> None:
    """Tell a request that its client is gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
        if (presence := presence_of(cycle.scope)) is not None:
            presence.end()
    cycle.message_event.set()


class Cycle(RequestResponseCycle):
    """One request and its answer; a short answer of known length takes one write instead of two."""

    _start: Message | None = None
    """The head of a short answer, which is kept until its body comes."""
    _head: Sequence[bytes] = ()
    """The same, written down."""

    async def send(self, message: Message) -> None:  # type: ignore[override] # uvicorn's words for what Starlette's say
        """Send a part of the answer, or all of it; whatever is not plain is left to uvicorn."""
        is_whole = message["type"] == WHOLE
        start = message if is_whole else self._start
        if start is None:
            if self._keeps(message):
                self._start = message
            else:
                await super().send(message)  # type: ignore[arg-type]
            return
        self._start = None
        if not is_whole or self._keeps(message):
            if self._complete(message):
                return
            self.response_started = False
        await super().send({**start, "type": "http.response.start"})  # type: ignore[arg-type]
        await super().send({**message, "type": "http.response.body"} if is_whole else message)  # type: ignore[arg-type]

    def _keeps(self, message: Message) -> bool:
        """Whether this begins with the head of a short answer, which is written down then."""
        if message["type"] not in ("http.response.start", WHOLE) or self.response_started or not self.keep_alive:
            return False
        if self.scope["method"] == "HEAD" or self.chunked_encoding is not None:
            return False
        headers = list(message.get("headers", ()))
        given = dict(headers)
        length = _length(given)
        if length is None or not SPECIAL.isdisjoint(given):
            return False
        if not are_sound(headers):
            return False
        self._head = [opening_of(message["status"], tuple(self.default_headers)), lines_of(headers), b"\r\n"]
        self.expected_content_length = length
        self.response_started = True
        self.waiting_for_100_continue = False
        return True

    def _complete(self, message: Message) -> bool:
        """Write head and body, if this is all of the body and the client is there to take it."""
        body = message.get("body", b"")
        if message.get("more_body", False) or len(body) != self.expected_content_length:
            return False
        if self.disconnected or self.flow.write_paused or not self.keep_alive:
            return False
        self.transport.write(b"".join([*self._head, body]))
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True


def are_sound(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether nothing in these headers ends them."""
    names, values = zip(*headers, strict=True)
    return not (HEADER_RE.search(b"".join(names)) or HEADER_VALUE_RE.search(b"".join(values)))


@lru_cache(maxsize=64)
def opening_of(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """How answers of a status begin: with a line that says it, and with headers that many of them have."""
    return STATUS_LINE[status] + lines_of(headers)


def begin(connection: HttpToolsProtocol) -> Cycle:
    """The request whose head a connection has parsed, as uvicorn understands it. Raises HttpParserInvalidURLError."""
    parser, scope = connection.parser, connection.scope
    scope["method"] = parser.get_method().decode("ascii")
    version = parser.get_http_version()
    if version != "1.1":
        scope["http_version"] = version
    url = connection.url
    target = target_of(url) if len(url) <= TARGET_BYTES else target_of.__wrapped__(url)
    scope["path"], scope["raw_path"], scope["query_string"], host = target
    if host:
        connection.headers[:] = [(name, host if name == b"host" else value) for name, value in connection.headers]
    scope["extensions"] = {PRESENCE: Presence(connection.loop), WHOLE: {}}  # type: ignore[dict-item] # it is no dict
    return Cycle(
        scope,
        connection.transport,
        connection.flow,
        connection.logger,
        connection.access_logger,
        connection.access_log,
        connection.server_state.default_headers,
        asyncio.Event(),
        connection.expect_100_continue,
        version != "1.0" and parser.should_keep_alive(),
        connection.on_response_complete,
    )


@lru_cache(maxsize=1024)
def target_of(url: bytes) -> tuple[str, bytes, bytes, bytes]:
    """The path of a request's target, the same as it was sent, the query, and the host where it names one.

    That one counts, whatever `Host` says (RFC 9112, 3.2.2).
    """
    parsed = httptools.parse_url(url)
    raw_path = parsed.path or b"/"
    path, named = raw_path.decode("ascii"), AUTHORITY.match(url)
    return unquote(path) if "%" in path else path, raw_path, parsed.query or b"", named[1] if named else b""


async def run(cycle: RequestResponseCycle, app: ASGIApp, behind: Sized) -> None:
    """Answer one request; not one with others behind it on its connection, if their client has hung up already.

    Whoever sends many and resets the connection costs no more than their heads: what has been read of it is whole, and
    the event loop would hear of the reset with its next look.
    """
    if behind and _was_reset(cycle.transport):
        cycle.transport.abort()
        return
    if cycle.scope["http_version"] == "1.0":
        app = unchunked(cycle, app)
    await cycle.run_asgi(app)  # type: ignore[arg-type] # uvicorn's words for what Starlette's say


def _was_reset(transport: asyncio.Transport) -> bool:
    connection = transport.get_extra_info("socket")
    if transport.is_closing() or connection is None:
        return transport.is_closing()
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _length(headers: Mapping[bytes, bytes]) -> int | None:
    """What a short answer says of its length."""
    said = headers.get(b"content-length", b"")
    return int(said) if said.isdigit() and len(said) < len(str(SHORT_BYTES)) else None


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
