"""A client of the bare ASGI application, for what no HTTP library does: hanging up, and sending piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from api.describing import assert_described, document_of
from api.wire import Wire
from starlette.types import Message
from waiting import PATIENCE_S

from service.api.gate import Application

PROBLEM = "application/problem+json"
LOCAL_TOKEN = "this-machine"
BEARING = {"authorization": f"Bearer {LOCAL_TOKEN}"}
PATIENT = {"prefer": f"wait={PATIENCE_S:.0f}"}
"""What every client here sends: on a slow machine the default wait of `/evaluate` can be too short."""
HERE = "127.0.0.1"
ways = {"over sockets": False, "directly": False}
"""How clients of this machine reach an application; the fixture `both_ways` changes it."""


@dataclass
class Caller:
    """Sends pieces of a body, then waits; hangs up when told to."""

    pieces: Sequence[bytes] = (b"",)
    ends: bool = True
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Message] = field(default_factory=list)
    taken: int = 0

    @property
    def body(self) -> bytes:
        """What has been answered so far, without the headers."""
        return b"".join(message.get("body", b"") for message in self.sent)

    async def receive(self) -> Message:
        """The next piece; after the last, the news that the caller hung up."""
        if self.taken < len(self.pieces):
            self.taken += 1
            more = self.taken < len(self.pieces) or not self.ends
            return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": more}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what is answered."""
        self.sent.append(message)

    async def ask(self, app: Application, method: str, path: str, headers: Mapping[str, str] | None = None) -> None:
        """Make one request."""
        given = {name.lower(): value for name, value in {"Host": "localhost", **BEARING, **(headers or {})}.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        await app(scope, self.receive, self.send)


def connect(
    app: Application, *, host: str = HERE, raise_app_exceptions: bool = False, bears: bool = True
) -> httpx.AsyncClient:
    """A client of the application that comes from `host`, sees its failures as answers, and reads the document.

    It bears the service's own token of this machine, unless a request or `bears` says otherwise.
    """
    bare = httpx.ASGITransport(app, raise_app_exceptions=raise_app_exceptions, client=(host, 1))
    transport = Wire(app, directly=ways["directly"]) if ways["over sockets"] and host == HERE else bare

    async def check(reply: httpx.Response) -> None:
        await reply.aread()
        assert_described(reply, document_of(app))

    headers = {**PATIENT, **(BEARING if bears else {})}
    hooks = {"response": [check]}
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, event_hooks=hooks)


def assert_problem(reply: httpx.Response, status: int, detail: str = "") -> None:
    """The reply is a problem document of this status, and its detail has these words in it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == PROBLEM
    assert reply.headers["x-request-id"]
    document = reply.json()
    assert document["type"] == "about:blank"
    assert document["status"] == status
    assert document["title"]
    assert detail in document["detail"]


async def in_pieces(data: bytes, size: int, taken: list[int]) -> AsyncIterator[bytes]:
    """A body without a Content-Length, and how much of it was asked for."""
    for start in range(0, len(data), size):
        taken.append(start)
        yield data[start : start + size]
