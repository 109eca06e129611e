"""HTTP/1.1 as bytes over a kept connection: the load is to take less of the processor than what it measures."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

Address = tuple[str, int]
T = TypeVar("T")
NONE: Mapping[str, str] = {}
CLOSE = {"connection": "close"}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in the quickest loop there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    outcome: T = uvloop.run(work)
    return outcome


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def retry_after_s(self) -> float:
        """When to ask again; half a second where nothing is said."""
        return float(self.headers.get(b"retry-after", b"0.5"))


def request(method: str, path: str, body: bytes = b"", *, media: str = "", headers: Mapping[str, str] = NONE) -> bytes:
    """A request as it goes over the connection."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {said}" for name, said in headers.items())]
    if body or method == "POST":
        lines += [f"content-length: {len(body)}"]
    if media:
        lines += [f"content-type: {media}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """A connection that is kept, and opened anew where it was closed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._ear: _Ear | None = None

    async def ask(self, said: bytes) -> Reply:
        """The answer. Raises OSError where the connection ends before it has come."""
        loop = asyncio.get_running_loop()
        if self._ear is None or self._ear.transport.is_closing():
            _, self._ear = await loop.create_connection(_Ear, *self._address)
        try:
            reply = await self._ear.ask(said, loop.create_future())
        except BaseException:
            self.close()
            raise
        if reply.headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return reply

    def close(self) -> None:
        """Hang up; what was not answered never is."""
        if self._ear is not None:
            self._ear.transport.abort()
            self._ear = None


class _Ear(asyncio.Protocol):
    """Puts one answer after the other together."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._heard = b""
        self._answer: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self, said: bytes, answer: "asyncio.Future[Reply]") -> Reply:
        self._heard = b""
        self._answer = answer
        self.transport.write(said)
        return await answer

    def data_received(self, data: bytes) -> None:
        self._heard += data
        reply = reply_in(self._heard)
        if reply is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(str(exc or "hung up")))


def reply_in(heard: bytes) -> Reply | None:
    """The answer, once all of it is there."""
    end = heard.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = heard[:end].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    headers = {name.lower(): said.strip() for name, _, said in pairs}
    body = heard[end + 4 :]
    if headers.get(b"transfer-encoding") == b"chunked":
        if not body.endswith(b"0\r\n\r\n"):
            return None
        body = _joined(body)
    elif len(body) < int(headers.get(b"content-length", 0)):
        return None
    return Reply(int(first[9:12]), headers, body)


def _joined(chunks: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        if not int(size, 16):
            return b"".join(pieces)
        pieces.append(chunks[: int(size, 16)])
        chunks = chunks[int(size, 16) + 2 :]
