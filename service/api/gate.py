"""What every request passes: its id, its deadline, admission, draining, the count and the time.

The hottest paths are answered right here by ASGI callables, without routing or dependency injection; everything else
goes on to FastAPI.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from fastapi import FastAPI, Response
from starlette.types import Message, Receive, Scope, Send

from service.api.access import pages
from service.api.access.guard import Guard
from service.api.access.needs import SAFE_METHODS
from service.api.access.proxies import Place, RawHeaders
from service.api.openapi import completed
from service.api.problems import problem_response
from service.errors import Draining, InvalidRequest, Overloaded, ServiceError
from service.settings import Settings
from service.telemetry.instruments import Instruments

log = logging.getLogger(__name__)

WATCH_AFTER_S = 0.05
"""Only requests that wait this long are watched for their caller hanging up: quick ones do not pay for it."""
REQUEST_ID_LIMIT = 128
_PROCESS = secrets.token_hex(6)
_COUNT = itertools.count()


@dataclass(slots=True)
class Exchange:
    """One request of a hot path, as far as it has been read."""

    scope: Scope
    receive: Receive
    request_id: str
    headers: dict[bytes, bytes]


HotPath = Callable[[Exchange], Awaitable[Response]]


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


class CallerGone(BaseException):
    """The client hung up; there is nobody to answer."""


class Watch:
    """Cancels the work inside, and raises CallerGone, when the client hangs up. The body must have been read."""

    __slots__ = ("_gone", "_listener", "_receive", "_task", "_timer")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._gone and kind is asyncio.CancelledError:
            assert self._task is not None
            self._task.uncancel()
            raise CallerGone

    def _begin(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        assert self._task is not None
        self._gone = True
        self._task.cancel()


@dataclass(eq=False)
class Gate:
    """The state of the door: how many are inside, and whether it is closing."""

    settings: Settings
    instruments: Instruments
    guard: Guard
    hot_paths: dict[tuple[str, str], HotPath] = field(default_factory=dict)
    draining: bool = False
    open: int = 0
    """Requests that are being answered, questions about the service and open event streams included."""
    working: int = 0
    """Those among them that bring work, which are limited."""

    def __post_init__(self) -> None:
        self.instruments.begin_at_zero(self.instruments.rejected, "draining", "front_full")

    def admit(self, method: str) -> None:
        """Refuse new work while draining or full; questions about the service itself always pass."""
        if method in SAFE_METHODS:
            return
        if self.draining:
            self.instruments.rejected.labels("draining").inc()
            raise Draining("This instance is shutting down; send the request to another one.")
        if self.working >= self.settings.queue_limit:
            self.instruments.rejected.labels("front_full").inc()
            raise Overloaded(f"{self.working} requests are open here.")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count a question as work, which it brings although its method is safe. Raises Draining, Overloaded."""
        self.admit("POST")
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1


class Application(FastAPI):
    """FastAPI behind a gate."""

    gate: Gate

    def openapi(self) -> dict[str, Any]:
        """The document of all routes, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        began = time.perf_counter()
        gate = self.gate
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")[:REQUEST_ID_LIMIT]
        request_id = given.decode("latin-1") if given else f"{_PROCESS}{next(_COUNT):08x}"
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        place = gate.guard.place(scope, headers)
        answer = _Answer(send, request_id.encode("latin-1"), place, closing=gate.draining)
        answer.add(gate.guard.sites.shared(headers))
        method, path = scope["method"], place.path
        hot = gate.hot_paths.get((method, path))
        leave = None
        try:
            if (preflight := gate.guard.sites.preflight(method, headers)) is not None:
                answer.add(preflight)
                await answer.send_whole(Response(status_code=204))
                return
            leave = await gate.guard.admit(method, place, scope, headers)
            gate.admit(method)
            brings_work = method not in SAFE_METHODS
            gate.open += 1
            gate.working += brings_work
            try:
                if hot is not None:
                    await answer.send_whole(await _run_hot(hot, Exchange(scope, receive, request_id, headers)))
                else:
                    await super().__call__(scope, receive, answer.send)
            finally:
                gate.open -= 1
                gate.working -= brings_work
        except ServiceError as error:
            await answer.send_whole(problem_response(error))
        except CallerGone:
            answer.status = 499
        finally:
            if leave is not None:
                leave()
            gate.guard.note(method, place, scope, answer.status)
            endpoint = path if hot is not None else getattr(scope.get("route"), "path", "unmatched")
            self._observe(endpoint, answer.status, began)

    def _observe(self, endpoint: str, status: int, began: float) -> None:
        instruments = self.gate.instruments
        instruments.requests.labels(endpoint, str(status)).inc()
        instruments.request_seconds.labels(endpoint).observe(time.perf_counter() - began)
        instruments.open_requests.set(self.gate.open)


async def _run_hot(hot: HotPath, exchange: Exchange) -> Response:
    try:
        return await hot(exchange)
    except ServiceError as error:
        return problem_response(error)
    except Exception:
        log.exception("request %s failed", exchange.request_id)
        return problem_response(ServiceError("The failure has been logged under this request's X-Request-Id."))


class _Answer:
    """Adds to every answer its request's id and what browsers are to know, and notes the status."""

    def __init__(self, send: Send, request_id: bytes, place: Place, *, closing: bool) -> None:
        self._send = send
        self._place = place
        self._headers = [(b"x-request-id", request_id), *pages.ALWAYS]
        if closing:
            self._headers.append((b"connection", b"close"))
        self.status = 500

    def add(self, headers: RawHeaders) -> None:
        """Let the answer have these headers, too."""
        self._headers += headers

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._completed(message.get("headers", ()))}
        await self._send(message)

    async def send_whole(self, response: Response) -> None:
        self.status = response.status_code
        headers = self._completed(response.raw_headers)
        start: dict[str, Any] = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": response.body})

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
        told = [*headers, *self._headers]
        for name, value in headers:
            if name == b"content-type" and (further := pages.headers_for(self._place.path, value)):
                told += [header for header in further if header[0] not in {given for given, _ in told}]
            elif name == b"location":
                told[told.index((name, value))] = (name, self._place.outside(value))
        return told
