"""A closed loop of one request over keep-alive connections: how many answers a second, how late, how many errors.

reading = run_load(Load("http://127.0.0.1:8000/classify", image, connections=64, seconds=5))
print(reading.requests_per_s, reading.percentile_ms(0.99), reading.errors)
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext, create_default_context
from typing import cast
from urllib.parse import urlsplit

from service.errors import ConfigurationError

CONNECT_S = 10.0
PAUSE_S = 0.05
"""Between two attempts to connect again."""
LOST = "connection lost"
REFUSED = "connection refused"
ILLEGIBLE = "reply not understood"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """One request, and how many connections post it over and over."""

    url: str
    body: bytes
    content_type: str = "image/png"
    token: str = ""
    connections: int = 64
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a load found: `latencies_s` of the answers of 2xx, sorted, and how often anything else came, by its name."""

    seconds: float
    latencies_s: Sequence[float]
    errors: Mapping[str, int]

    @property
    def requests_per_s(self) -> float:
        """Answers of 2xx a second."""
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """The milliseconds within which this share of the answers came; NaN where there were none."""
        count = len(self.latencies_s)
        return 1000 * self.latencies_s[max(0, math.ceil(share * count) - 1)] if count else math.nan


def run_load(load: Load) -> Reading:
    """Put a load on a server, on uvloop where it is installed. Raises ConfigurationError where nobody listens."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(put_load(load))
    reading: Reading = uvloop.run(put_load(load))
    return reading


async def put_load(load: Load) -> Reading:
    """The same inside a running event loop."""
    target = _Target.of(load)
    await target.check()
    tally = _Tally()
    began = time.perf_counter()
    asking = [asyncio.create_task(_keep_connected(target, tally)) for _ in range(load.connections)]
    await asyncio.sleep(load.seconds)
    seconds = time.perf_counter() - began
    tally.over = True
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    return Reading(seconds, sorted(tally.latencies_s), dict(tally.errors))


@dataclass(slots=True)
class _Tally:
    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    over: bool = False


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to connect, and what to write there."""

    host: str
    port: int
    ssl: SSLContext | None
    request: bytes

    @classmethod
    def of(cls, load: Load) -> "_Target":
        parts = urlsplit(load.url)
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"{load.url!r} is no address: {error}.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{load.url!r} is no address; write it like http://127.0.0.1:8000.")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = f"Authorization: Bearer {load.token}\r\n" if load.token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nContent-Type: {load.content_type}\r\n"
            f"Content-Length: {len(load.body)}\r\n{key}\r\n"
        )
        context = create_default_context() if secure else None
        return cls(parts.hostname, port or (443 if secure else 80), context, head.encode("latin-1") + load.body)

    async def connect(self, tally: _Tally) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self.request, tally), self.host, self.port, ssl=self.ssl
        )
        return connection

    async def check(self) -> None:
        """Raise ConfigurationError where nobody listens."""
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self.connect(_Tally(over=True))
        except OSError as error:
            raise ConfigurationError(f"{self.host}:{self.port} cannot be reached: {error or 'no answer'}.") from error
        connection.close()
        await connection.lost


async def _keep_connected(target: _Target, tally: _Tally) -> None:
    """One connection, and another when it is gone."""
    while True:
        try:
            connection = await target.connect(tally)
        except OSError:
            tally.errors[REFUSED] += 1
            await asyncio.sleep(PAUSE_S)
            continue
        try:
            await connection.lost
        finally:
            connection.close()


class _Connection(asyncio.Protocol):
    """Posts, waits for the whole reply, and posts again."""

    def __init__(self, request: bytes, tally: _Tally) -> None:
        self._request = request
        self._tally = tally
        self._transport: asyncio.Transport
        self._began = 0.0
        self._received = b""
        self._whole: int | None = None
        self._answered = True
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none, but do what they do
        if not self._tally.over:
            self._post()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._received = self._received + data if self._received else data
        if self._whole is None and not self._read_head():
            return
        if self._whole is None or self._tally.over:
            self.close()
        elif len(self._received) >= self._whole:
            self._count(now - self._began)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is the protocol's
        if not self._answered and not self._tally.over:
            self._tally.errors[LOST] += 1
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        self._transport.abort()

    def _post(self) -> None:
        self._received = b""
        self._whole = None
        self._answered = False
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def _read_head(self) -> bool:
        """Whether the head is there; `_whole` stays None where it does not say how long the reply is."""
        end = self._received.find(_END)
        if end < 0:
            return False
        head = self._received[: end + 2].lower()
        at = head.find(_LENGTH)
        if at < 0 or not head.startswith(b"http/1.1 "):
            self._tally.errors[ILLEGIBLE] += not self._tally.over
            self._answered = True
        else:
            start = at + len(_LENGTH)
            self._whole = end + len(_END) + int(head[start : head.index(b"\r\n", start)])
        return True

    def _count(self, seconds: float) -> None:
        self._answered = True
        status = self._received[9:12]
        if status.startswith(b"2"):
            self._tally.latencies_s.append(seconds)
        else:
            self._tally.errors[status.decode("latin-1")] += 1
        if b"\r\nconnection: close" in self._received[: self._received.find(_END)].lower():
            self.close()
        else:
            self._post()
