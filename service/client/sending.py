"""Requests on their way, by a program that waits or by one that goes on meanwhile: the only place that knows which."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

import httpx

from service import __version__
from service.errors import ServiceUnreachable
from service.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

CONNECT_S = 10.0
SILENCE_S = 120.0
"""A reply that stays away this long will not come."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
NO_PROXIES = {f"all://{host}": None for host in LOOPBACK}
"""A proxy knows nothing of this machine's ports."""


class Connection(TypedDict):
    """What either of httpx's clients is told."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    follow_redirects: bool


def connection_to(base_url: str, *, token: str | None, headers: Mapping[str, str] | None) -> Connection:
    """How to speak with a service; with the environment's token unless one is given. Raises ConfigurationError."""
    known = read_settings().token.get_secret_value() if token is None else token
    authorization = {"authorization": f"Bearer {known}"} if known else {}
    return Connection(
        base_url=base_url,
        headers={"user-agent": f"chapterhouse/{__version__}", **authorization, **(headers or {})},
        timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
        follow_redirects=True,
    )


class Sender(Protocol):
    """What sends requests and takes their answers in. Raises httpx.RequestError."""

    address: str

    def request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        """A request to the service, of the parts that httpx knows."""
        ...

    async def send(self, request: httpx.Request) -> httpx.Response:
        """An answer as far as its headers."""
        ...

    async def read(self, reply: httpx.Response) -> None:
        """Take in the rest of an answer."""
        ...

    def pieces(self, reply: httpx.Response) -> AsyncIterator[bytes]:
        """The rest of an answer, as it comes."""
        ...

    def lines(self, reply: httpx.Response) -> AsyncIterator[str]:
        """The rest of an answer of text, as it comes."""
        ...

    async def release(self, reply: httpx.Response) -> None:
        """Let go of an answer, whether all of it was taken in or not."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class AsyncSender:
    """Goes on with other work while it waits. Raises ServiceUnreachable for what is no address."""

    def __init__(self, connection: Connection, transport: httpx.AsyncBaseTransport | None) -> None:
        self.address = connection["base_url"]
        with _telling_the_address(self.address):
            self._http = httpx.AsyncClient(**connection, transport=transport, mounts=NO_PROXIES)

    def request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        """A request to the service, of the parts that httpx knows."""
        return self._http.build_request(method, path, **parts)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """An answer as far as its headers."""
        return await self._http.send(request, stream=True)

    async def read(self, reply: httpx.Response) -> None:
        """Take in the rest of an answer."""
        await reply.aread()

    def pieces(self, reply: httpx.Response) -> AsyncIterator[bytes]:
        """The rest of an answer, as it comes."""
        return reply.aiter_bytes()

    def lines(self, reply: httpx.Response) -> AsyncIterator[str]:
        """The rest of an answer of text, as it comes."""
        return reply.aiter_lines()

    async def release(self, reply: httpx.Response) -> None:
        """Let go of an answer."""
        await reply.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class BlockingSender:
    """Stands still while it waits: its coroutines come to their end without a pause, in whatever thread began them."""

    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None) -> None:
        self.address = connection["base_url"]
        with _telling_the_address(self.address):
            self._http = httpx.Client(**connection, transport=transport, mounts=NO_PROXIES)

    def request(self, method: str, path: str, **parts: Any) -> httpx.Request:
        """A request to the service, of the parts that httpx knows."""
        return self._http.build_request(method, path, **parts)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """An answer as far as its headers."""
        return self._http.send(request, stream=True)

    async def read(self, reply: httpx.Response) -> None:
        """Take in the rest of an answer."""
        reply.read()

    async def pieces(self, reply: httpx.Response) -> AsyncIterator[bytes]:
        """The rest of an answer, as it comes."""
        for piece in reply.iter_bytes():
            yield piece

    async def lines(self, reply: httpx.Response) -> AsyncIterator[str]:
        """The rest of an answer of text, as it comes."""
        for line in reply.iter_lines():
            yield line

    async def release(self, reply: httpx.Response) -> None:
        """Let go of an answer."""
        reply.close()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - it is meant to

    async def close(self) -> None:
        """Close the connections."""
        self._http.close()


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine comes to that never waits for a loop, such as those over a BlockingSender."""
    try:
        work.send(None)
    except StopIteration as end:
        outcome: T = end.value
        return outcome
    work.close()
    raise RuntimeError("The coroutine waits for something.")


@contextmanager
def _telling_the_address(address: str) -> "Iterator[None]":
    try:
        yield
    except httpx.InvalidURL as error:
        raise ServiceUnreachable(f"{address!r} is no address: {error}.") from error
