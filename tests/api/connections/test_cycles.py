"""How an answer goes out: what is written at once, what in pieces, and to whom nothing is written any more."""

import asyncio
import errno
import logging
from typing import Any, cast

import pytest
import uvicorn
from httptools import HttpParserError
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.connections.cycles import SHORT_BYTES, Cycle, begin, run
from service.api.outgoing import WHOLE
from service.api.presence import PRESENCE

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5"), (b"x-a", b"b")]}
BODY: Message = {"type": "http.response.body", "body": b"hello"}
ALL: Message = {**START, "type": WHOLE, "body": b"hello"}
HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 5\r\nx-a: b\r\n\r\n"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.paused = False
        self.error = 0

    def get_extra_info(self, name: str) -> "Wire | None":
        return self if name == "socket" else None

    def getsockopt(self, _level: int, _option: int) -> int:
        return self.error

    def abort(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Asked:
    """One request on a wire."""

    def __init__(self, method: str = "GET", *, version: str = "1.1", keep_alive: bool = True) -> None:
        self.wire = Wire()
        self.over = 0
        transport = cast("asyncio.Transport", self.wire)
        self.flow = FlowControl(transport)
        self.cycle = Cycle(
            scope={"type": "http", "method": method, "http_version": version},  # type: ignore[typeddict-item] # the rest is not looked at
            transport=transport,
            flow=self.flow,
            logger=logging.getLogger("uvicorn.error"),
            access_logger=logging.getLogger("uvicorn.access"),
            access_log=False,
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._end,
        )

    def _end(self) -> None:
        self.over += 1

    async def answered(self, *messages: Message, behind: Any = ()) -> list[bytes]:
        await run(self.cycle, sending(*messages), behind)
        return self.wire.written


def sending(*messages: Message) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def test_a_short_answer_is_one_write() -> None:
    asked = Asked()
    assert await asked.answered(START, BODY) == [HEAD + b"hello"]
    assert (asked.over, asked.cycle.response_complete, asked.wire.closed) == (1, True, False)


async def test_a_whole_answer_is_one_message_and_one_write() -> None:
    asked = Asked()
    assert await asked.answered(ALL) == [HEAD + b"hello"]
    assert (asked.over, asked.cycle.response_complete, asked.wire.closed) == (1, True, False)


@pytest.mark.parametrize(
    ("method", "version", "keep_alive"), [("HEAD", "1.1", True), ("GET", "1.1", False), ("GET", "1.0", False)]
)
async def test_a_whole_answer_is_that_of_two_messages(method: str, version: str, *, keep_alive: bool) -> None:
    one, two = (Asked(method, version=version, keep_alive=keep_alive) for _ in range(2))
    assert await one.answered(ALL) == await two.answered(START, BODY)
    assert (one.over, one.wire.closed) == (two.over, two.wire.closed) == (1, not keep_alive)


async def test_a_whole_answer_behind_the_beginning_of_another_one_ends_the_connection() -> None:
    asked = Asked()
    unfinished = {**BODY, "body": b"hel", "more_body": True}
    assert await asked.answered(START, unfinished, ALL) == [HEAD, b"hel"]
    assert asked.wire.closed


async def test_an_answer_in_pieces_goes_out_as_it_comes() -> None:
    asked = Asked()
    pieces = {**BODY, "body": b"hel", "more_body": True}, {**BODY, "body": b"lo"}
    assert await asked.answered(START, *pieces) == [HEAD, b"hel", b"lo"]
    assert asked.over == 1


async def test_a_long_answer_and_one_of_unknown_length_are_begun_at_once() -> None:
    body = bytes(SHORT_BYTES * 2)
    start = {**START, "headers": [(b"content-length", str(len(body)).encode())]}
    head, rest = await Asked().answered(start, {**BODY, "body": body})
    assert head.endswith(b"\r\n\r\n")
    assert rest == body
    unknown = await Asked().answered({**START, "headers": []}, BODY)
    assert b"transfer-encoding: chunked" in unknown[0]
    assert unknown[1] == b"5\r\nhello\r\n0\r\n\r\n"


async def test_the_headers_of_an_answer_without_a_body_stand_alone() -> None:
    assert await Asked("HEAD").answered(START, {**BODY, "body": b""}) == [HEAD]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_last_answer_of_a_connection_says_so_and_closes_it(version: str) -> None:
    asked = Asked(version=version, keep_alive=False)
    said = b"".join(await asked.answered(START, BODY))
    assert said == HEAD[:-2] + b"connection: close\r\n\r\nhello"
    assert asked.wire.closed
    asked = Asked()
    headers = [*START["headers"], (b"connection", b"close")]
    assert b"connection: close" in b"".join(await asked.answered({**START, "headers": headers}, BODY))
    assert asked.wire.closed


async def test_a_connection_that_is_told_to_end_meanwhile_ends_with_this_answer() -> None:
    asked = Asked()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        asked.cycle.keep_alive = False
        await send(BODY)

    await run(asked.cycle, app, ())
    assert b"".join(asked.wire.written).endswith(b"hello")
    assert asked.wire.closed


async def test_whoever_has_gone_is_sent_nothing() -> None:
    asked = Asked()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        asked.cycle.disconnected = True
        await send(BODY)

    await run(asked.cycle, app, ())
    assert (asked.wire.written, asked.over) == ([], 0)


async def test_what_would_break_the_head_is_never_written() -> None:
    asked = Asked()
    evil = {**START, "headers": [(b"content-length", b"5"), (b"x-a", b"b\r\nset-cookie: c")]}
    assert await asked.answered(evil, BODY) == []
    assert asked.wire.closed


async def test_a_body_that_is_not_as_long_as_its_head_says_is_no_answer() -> None:
    asked = Asked()
    written = await asked.answered(START, {**BODY, "body": b"hello, world"})
    assert b"world" not in b"".join(written)
    assert asked.wire.closed


@pytest.mark.parametrize("error", [0, errno.ECONNRESET])
async def test_a_request_with_others_behind_it_is_not_begun_for_a_client_that_has_hung_up(error: int) -> None:
    asked = Asked()
    asked.wire.error = error
    assert await asked.answered(START, BODY, behind=["another"]) == ([] if error else [HEAD + b"hello"])
    assert asked.wire.closed == bool(error)


class Uvicorns(HttpToolsProtocol):
    """A connection whose requests begin as uvicorn begins them, and go no further."""

    begun: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, _app: Any) -> None:
        self.begun = cycle


class Ours(Uvicorns):
    """The same, of which they begin as ours do."""

    def on_headers_complete(self) -> None:
        self.begun = self.cycle = begin(self)


def begun(kind: type[Uvicorns], head: bytes) -> tuple[object, ...] | None:
    """What is known of the request with this head, or why it is none."""
    config = uvicorn.Config(sending(), ws="none", lifespan="off", log_config=None, access_log=False)
    connection = kind(config, ServerState(), {"of": "the front"}, cast("asyncio.AbstractEventLoop", object()))
    try:
        connection.parser.feed_data(head)
    except HttpParserError as error:
        return type(error), type(error.__context__)
    cycle = connection.begun
    if cycle is None:
        return None
    offered = cycle.scope.pop("extensions", {})
    assert offered.keys() == ({PRESENCE, WHOLE} if kind is Ours else set())
    return cycle.scope, cycle.keep_alive, cycle.waiting_for_100_continue


TARGETS = st.one_of(
    st.text("/?%#:@;=&*.2fFaé\\\"' ", min_size=1, max_size=40),
    st.sampled_from(
        ["/classify", "*", "http://a:1/b?c", "/" + "a" * 300, "/%41?" + "b" * 300, "//a/b", "/a%00", "/%zz"]
    ),
)


@given(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PATCH"]),
    TARGETS,
    st.sampled_from(["1.0", "1.1"]),
    st.sets(st.sampled_from(["Connection: close", "Connection: keep-alive", "Expect: 100-continue", "A: b"])),
)
def test_a_request_is_understood_as_uvicorn_understands_it(
    method: str, target: str, version: str, lines: set[str]
) -> None:
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *sorted(lines), "", ""]).encode()
    assert begun(Ours, head) == begun(Uvicorns, head)
    assert begun(Ours, head) == begun(Uvicorns, head)  # also where it is remembered
