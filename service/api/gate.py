"""What every request passes: its id, its deadline, admission, draining, the count and the time.

The hottest paths are answered right here by ASGI callables, without routing or dependency injection; everything else
goes on to FastAPI.
"""

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.access.callers import caller_of
from service.api.access.guard import Guard, Leave
from service.api.access.needs import SAFE_METHODS
from service.api.access.proxies import Place, RawHeaders
from service.api.beginnings import Beginnings
from service.api.budgets import Budget, Returns
from service.api.noting import Noting, endpoint_of
from service.api.openapi import completed
from service.api.outgoing import Outgoing, Reply, Sender
from service.api.presence import CallerGone, presence_of
from service.api.problems import Settled, failure, refusal
from service.api.singles import check_head
from service.api.together import DirectPath
from service.errors import BodyTooLarge, Draining, InvalidRequest, Overloaded, ServiceError, UnsupportedMediaType
from service.settings import Settings
from service.telemetry.instruments import Instruments

REQUEST_ID_LIMIT = 128
CODINGS = ((b"content-encoding", b"identity"), (b"transfer-encoding", b"chunked"))
"""The one coding of a body that is read, and of its way here: unpacked another could be of any size."""
GONE = 499
"""The status of a request whose client hung up before it was answered."""
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
_PROCESS = secrets.token_hex(6)
_COUNT = itertools.count()


def new_request_id() -> str:
    """An id for a request that brings none."""
    return f"{_PROCESS}{next(_COUNT):08x}"


@dataclass(slots=True)
class Exchange:
    """One request of a hot path, as far as it has been read."""

    scope: Scope
    receive: Receive
    request_id: str
    headers: dict[bytes, bytes]


HotPath = Callable[[Exchange], Awaitable[Response | Reply]]


Doorstep = Callable[[str], Awaitable[None]]
"""What is asked of a client before anything else is done for a request. Raises ServiceError."""


def deadline_of(value: bytes | str | None) -> float | None:
    """The moment that so many milliseconds from now are over. Raises InvalidRequest for anything but a number."""
    if value is None:
        return None
    try:
        milliseconds = float(value)
    except ValueError:
        milliseconds = -1.0
    if not 0 < milliseconds < 1e9:
        raise InvalidRequest("X-Deadline-Ms must be a positive number of milliseconds.")
    return time.monotonic() + milliseconds / 1000


async def nothing_more() -> Message:
    """What is received by a request of which all has come, or whose answer is over."""
    return {"type": "http.disconnect"}


class Holding:
    """What one request takes of its front until it is answered: memory for what it brings, and a place among the work.

    A request has no place among the work while its body is still on its way: silent callers take no room from others.
    """

    __slots__ = ("_arriving", "_gate", "_held", "_receive", "_working", "brought", "client", "whole_at")

    def __init__(self, gate: "Gate", client: str, receive: Receive, *, arriving: bool) -> None:
        self.client = client
        self._gate = gate
        self._receive = receive
        self._arriving = arriving
        self._working = False
        self._held = 0
        self.brought = 0
        """Bytes of its body that have come."""
        self.whole_at: float | None = None
        """When the last of them came."""

    def __enter__(self) -> Self:
        self._gate.open += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._gate.open -= 1
        if self._working:
            self._gate.requests.give_back(self.client)
        if self._held:
            self._gate.memory.give_back(self.client, self._held)
        self._receive = nothing_more  # what was received from holds this: without a collection neither would go

    async def receive(self) -> Message:
        """What comes next; the pieces of a body take memory. Raises Overloaded, BodyTooLarge."""
        message = await self._receive()
        if message["type"] == "http.request":
            if piece := message.get("body"):
                self.bring(len(piece))
            if self._arriving and not message.get("more_body", False):
                self.arrive()
        return message

    def bring(self, size: int) -> None:
        """So much of its body has come. Raises Overloaded, BodyTooLarge."""
        self.brought += size
        self.hold(size)

    def arrive(self) -> None:
        """Its body has come whole. Raises Overloaded."""
        self._arriving = False
        self.whole_at = time.perf_counter()
        self.begin_work()

    def begin_work(self) -> None:
        """Take a place among the requests that are worked on. Raises Overloaded."""
        self._gate.let_work(self.client)
        self._working = True

    def hold(self, size: int) -> None:
        """Take memory. Raises Overloaded, and BodyTooLarge where there is never so much."""
        self._gate.lend_memory(self.client, size, self._held)
        self._held += size

    def let_go(self, size: int) -> None:
        """Give back memory before the request is over."""
        if size:
            self._gate.memory.give_back(self.client, size)
            self._held -= size


@dataclass(eq=False)
class Gate:
    """The state of the door: how many are inside, what they may take, and whether it is closing."""

    settings: Settings
    instruments: Instruments
    guard: Guard
    hot_paths: dict[tuple[str, str], HotPath] = field(default_factory=dict)
    doorsteps: dict[tuple[str, str], Doorstep] = field(default_factory=dict)
    direct_paths: dict[str, DirectPath] = field(default_factory=dict)
    """Which POSTs may be answered where their bytes arrive, by their paths."""
    draining: bool = False
    open: int = 0
    """Requests that are being answered, questions about the service and open event streams included."""

    def __post_init__(self) -> None:
        settings = self.settings
        self._answered = Returns()
        self.requests = Budget(settings.queue_limit, settings.client_share, returns=self._answered)
        """Those among them that bring work and have come whole, which are limited."""
        self.memory = Budget(settings.memory_limit_bytes, settings.client_share)
        """Of what callers send, and of answers that they do not take."""
        self.beginnings = Beginnings()
        self.noting = Noting(settings, self.instruments.conditions)
        self.instruments.begin_at_zero(self.instruments.rejected, "draining", "front_full", "memory_full")

    @property
    def is_full(self) -> bool:
        """Whether there is no place among the work for anybody."""
        return self.requests.taken >= self.requests.limit

    @property
    def working(self) -> int:
        """How many requests are worked on."""
        return self.requests.taken

    def admit(self, method: str, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> Holding:
        """What a request may take from now on. Work is refused while draining or full, questions always pass.

        Raises Draining, Overloaded, and UnsupportedMediaType for a body that would have to be unpacked.
        """
        brings_work = method not in SAFE_METHODS
        arriving = brings_work and not BODY_HEADERS.isdisjoint(headers)
        holding = Holding(self, caller_of(scope).name, receive, arriving=arriving)
        if brings_work:
            self._check_open()
            for name, read in CODINGS:
                if (coding := headers.get(name, read)).lower() != read:
                    told = coding.decode("latin-1")[:100]
                    raise UnsupportedMediaType(f"A body in the coding {told} is not read here.")
            if not arriving:
                holding.begin_work()
            elif self.is_full:
                raise self._full(holding.client)
        return holding

    async def begin(self, method: str, path: str, client: str, scope: Scope) -> None:
        """Wait for the turn of a request that costs much. Raises ServiceError where a doorstep does, CallerGone."""
        await self.beginnings.take(client)
        if (doorstep := self.doorsteps.get((method, path))) is not None:
            with presence_of(scope) or nullcontext():
                await doorstep(client)

    def _check_open(self) -> None:
        if self.draining:
            self.instruments.rejected.labels("draining").inc()
            raise Draining("This instance is shutting down; send the request to another one.")

    def let_work(self, client: str) -> None:
        """Give a client one more place among the work. Raises Overloaded."""
        if not self.requests.take(client):
            raise self._full(client)

    def lend_memory(self, client: str, size: int, held: int) -> None:
        """Give a request that holds some already so much memory. Raises Overloaded, BodyTooLarge past what one gets."""
        memory = self.memory
        if memory.take(client, size):
            return
        self.instruments.rejected.labels("memory_full").inc()
        most = int(memory.limit * memory.share)
        if held + size > most:
            raise BodyTooLarge(f"This takes more memory than the {most:,} bytes that one client gets here.")
        raise Overloaded(f"What is open here takes {memory.taken:,} bytes of memory; this would be too much.")

    def _full(self, client: str) -> Overloaded:
        self.instruments.rejected.labels("front_full").inc()
        taken, held = self.requests.taken, self.requests.held.get(client, 0)
        whose = f", {held} of them yours; the other places are for others" if taken < self.requests.limit else ""
        return Overloaded(f"{taken} requests are open here{whose}.").again_in(self._answered.wait_s(taken))

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """A request has been answered so."""
        self.instruments.answered(endpoint, status, seconds)
        self.instruments.open_requests.set(self.open)

    @contextmanager
    def at_work(self, scope: Scope) -> Iterator[None]:
        """Count a question as work, which it brings although its method is safe. Raises Draining, Overloaded."""
        self._check_open()
        client = caller_of(scope).name
        self.let_work(client)
        try:
            yield
        finally:
            self.requests.give_back(client)


class Application(FastAPI):
    """FastAPI behind a gate."""

    gate: Gate

    def openapi(self) -> dict[str, Any]:
        """The document of all routes, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's own, which lets go on what it has answered, and around it what ends that."""
        return Settled(super().build_middleware_stack())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        gate = self.gate
        headers = dict(scope["headers"])
        visit = Visit(gate, scope, headers)
        sender = Sender(scope, send, visit.answer)
        method, path = scope["method"], visit.place.path
        hot = gate.hot_paths.get((method, path))
        try:
            check_head(scope, headers)
            if (preflight := gate.guard.sites.preflight(method, headers)) is not None:
                visit.answer.add(preflight)
                await sender.send_whole(Response(status_code=204))
                return
            visit.leave = await gate.guard.admit(method, visit.place, scope, headers)
            with gate.admit(method, scope, receive, headers) as visit.holding:
                scope["state"]["holding"] = visit.holding
                if hot is not None:
                    exchange = Exchange(scope, visit.holding.receive, visit.request_id, headers)
                    await sender.send_whole(await _run_hot(hot, exchange))
                else:
                    await gate.begin(method, path, visit.holding.client, scope)
                    await super().__call__(scope, visit.holding.receive, sender.send)
        except ServiceError as error:
            await sender.send_whole(refusal(scope, error))
        except CallerGone:
            visit.answer.status = GONE
        finally:
            visit.end(path if hot is not None else endpoint_of(scope, method, path))


class Passage(NamedTuple):
    """What follows from a request's head and the address that it comes from alone."""

    place: Place
    shared: RawHeaders
    """What browsers are told about pages of other origins."""


class Visit:
    """One request, from its first byte to what is noted of it, whichever way it is answered."""

    __slots__ = ("_began", "_gate", "_scope", "answer", "holding", "leave", "passage", "place", "request_id")

    def __init__(
        self, gate: Gate, scope: Scope, headers: Mapping[bytes, bytes], passage: Passage | None = None
    ) -> None:
        self._began = time.perf_counter()
        self._gate = gate
        self._scope = scope
        given = headers.get(b"x-request-id", b"")[:REQUEST_ID_LIMIT]
        self.request_id = given.decode("latin-1") if given else new_request_id()
        scope["state"] = {**scope.get("state", {}), "request_id": self.request_id}
        guard = gate.guard
        self.passage = passage or Passage(guard.place(scope, headers), guard.sites.shared(headers))
        self.place = self.passage.place
        self.answer = Outgoing(self.request_id.encode("latin-1"), self.place, closing=gate.draining)
        self.answer.add(self.passage.shared)
        self.leave: Leave | None = None
        """What is called when it is over."""
        self.holding: Holding | None = None

    def end(self, endpoint: str) -> None:
        """It is over: count it under this name, and note it where that is worth it."""
        gate, scope, status = self._gate, self._scope, self.answer.status
        if self.leave is not None:
            self.leave()
        gate.guard.note(scope["method"], self.place, scope, status)
        seconds = time.perf_counter() - self._began
        gate.count(endpoint, status, seconds)
        if gate.noting.is_worth_it(status, seconds):
            whole_at = None if self.holding is None else self.holding.whole_at
            told = self.answer.told(scope["method"], endpoint, self._began, seconds, whole_at)
            gate.noting.note(scope, told)


async def _run_hot(hot: HotPath, exchange: Exchange) -> Response | Reply:
    try:
        return await hot(exchange)
    except Exception as error:  # noqa: BLE001 - the log tells of it
        return answer_to(error, exchange.scope)


def answer_to(error: BaseException, scope: Scope) -> Response:
    """The answer to a request that an error ends."""
    return refusal(scope, error) if isinstance(error, ServiceError) else failure(scope, error)
