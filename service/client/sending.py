"""Requests on their way, by a program that waits or by one that goes on meanwhile: the only place that knows which."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

import httpx

from service import __version__
from service.addresses import without_secrets
from service.errors import ServiceUnreachable
from service.settings import Settings, read_settings

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
    auth: httpx.Auth | None
    timeout: httpx.Timeout
    follow_redirects: bool


def connection_to(base_url: str, *, token: str | None, headers: Mapping[str, str] | None) -> Connection:
    """How to speak with a service; with the environment's token unless one is given. Raises ConfigurationError."""
    return Connection(
        base_url=base_url,
        headers={"user-agent": f"chapterhouse/{__version__}", **(headers or {})},
        auth=Bearer(base_url, token, read_settings()),
        timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
        follow_redirects=True,
    )


class Bearer(httpx.Auth):
    """Sends a key along: the one that was given, the environment's, or the token of a service on this machine.

    The last is read from the state directory at every request, since a service that starts again has another; it is
    sent to no other machine.
    """

    def __init__(self, base_url: str, token: str | None, settings: Settings) -> None:
        self._token = settings.token.get_secret_value() if token is None else token
        self._file = local_token_file(base_url, settings) if token is None else None

    def token(self) -> str:
        """The key; empty where there is none."""
        if self._token or self._file is None:
            return self._token
        try:
            return self._file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the key, unless the request has one already."""
        if "authorization" not in request.headers and (token := self.token()):
            request.headers["authorization"] = f"Bearer {token}"
        yield request


def local_token_file(base_url: str, settings: Settings) -> Path | None:
    """Where a service at this address writes its token if it runs on this machine; None for other addresses."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return None
    is_local = url.scheme == "http" and url.host in {host.strip("[]") for host in LOOPBACK}
    return settings.token_file(url.port or 80) if is_local else None


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
        self.address = without_secrets(connection["base_url"])
        with _telling_the_address(connection["base_url"]):
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
        self.address = without_secrets(connection["base_url"])
        with _telling_the_address(connection["base_url"]):
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
    """What comes of an address, or of a proxy's in the environment, that is none; neither's password is told."""
    try:
        httpx.URL(address)
    except httpx.InvalidURL as error:
        shown = address.rpartition("@")[2]  # what stands before it may be a password, wherever that ends
        raise ServiceUnreachable(f"{shown!r} is no address.") from error
    try:
        yield
    except (httpx.InvalidURL, ValueError):
        raise ServiceUnreachable("HTTP_PROXY, HTTPS_PROXY or ALL_PROXY does not hold the address of a proxy.") from None
