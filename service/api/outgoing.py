"""An answer on its way out: what belongs to every one of them is added, and what is noted of it is kept."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from fastapi import Response
from starlette.types import Message, Scope, Send

from service.api.access import pages
from service.api.access.proxies import Place, RawHeaders
from service.api.noting import Answered

WHOLE = "chapterhouse.whole"
"""The extension of ASGI by which a server takes an answer as one message of this type: `status`, `headers`, `body`."""


class Reply(NamedTuple):
    """An answer as it goes out: a Response, for those who have no time to make one."""

    status_code: int
    raw_headers: RawHeaders
    body: bytes
    lines: bytes = b""
    """The headers as they are written, where somebody has them so and browsers are told nothing further of them."""


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they go over a connection."""
    return b"".join([b"%s: %s\r\n" % header for header in headers])


class Outgoing:
    """Adds to every answer its request's id and what browsers are to know, and notes the status."""

    def __init__(self, request_id: bytes, place: Place, *, closing: bool) -> None:
        self._place = place
        self._headers = [(b"x-request-id", request_id), *pages.ALWAYS]
        if closing:
            self._headers.append((b"connection", b"close"))
        self.status = 500
        self._begun_at: float | None = None
        self._sent = 0
        self._told: RawHeaders = []

    def told(self, method: str, route: str, began: float, seconds: float, whole_at: float | None) -> Answered:
        """What is noted of it, once it is over."""
        return Answered(
            method,
            route,
            self._place,
            self.status,
            self._sent,
            seconds,
            None if whole_at is None else whole_at - began,
            None if self._begun_at is None else self._begun_at - began,
            self._told,
        )

    def add(self, headers: RawHeaders) -> None:
        """Let the answer have these headers, too."""
        self._headers += headers

    def part(self, message: Message) -> Message:
        """A part of it, as it is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._begun_at = time.perf_counter()
            return {**message, "headers": self._completed(message.get("headers", ()))}
        self._sent += len(message.get("body", b""))
        return message

    def whole(self, response: Response | Reply) -> RawHeaders:
        """The headers of all of it, which is sent now."""
        self._begin_whole(response)
        return self._completed(response.raw_headers)

    def written(self, response: Response | Reply) -> bytes:
        """The same as they go over a connection."""
        if not (isinstance(response, Reply) and response.lines):
            return lines_of(self.whole(response))
        self._begin_whole(response)
        self._told = response.raw_headers
        return response.lines + lines_of(self._headers)

    def _begin_whole(self, response: Response | Reply) -> None:
        self.status = response.status_code
        self._begun_at = time.perf_counter()
        self._sent = len(response.body)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
        told = [*headers, *self._headers]
        for name, value in headers:
            if name == b"content-type" and (further := pages.headers_for(self._place.path, value)):
                told += [header for header in further if header[0] not in {given for given, _ in told}]
            elif name == b"location":
                told[told.index((name, value))] = (name, self._place.outside(value))
        self._told = told
        return told


class Sender:
    """Sends an answer by ASGI: in parts, or as one message where the server takes it so."""

    def __init__(self, scope: Scope, send: Send, answer: Outgoing) -> None:
        self._takes_whole = WHOLE in scope.get("extensions", ())
        self._send = send
        self._answer = answer

    async def send(self, message: Message) -> None:
        """Send a part of it."""
        await self._send(self._answer.part(message))

    async def send_whole(self, response: Response | Reply) -> None:
        """Send all of it."""
        status, headers, body = response.status_code, self._answer.whole(response), response.body
        if self._takes_whole:
            await self._send({"type": WHOLE, "status": status, "headers": headers, "body": body})
        else:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})
