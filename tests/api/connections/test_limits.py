"""Each attack on the time of a front and on its connections: what it gets, and that the others live."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from api.asking import LOCAL_TOKEN
from api.fronts import (
    GARBAGE,
    LIVE,
    POST,
    ClockworkLoop,
    Front,
    Slow,
    assert_last_problem,
    assert_lives,
    serving,
    whole,
)
from doubles import FakeEngine, echoed
from fastapi import Request
from fastapi.responses import StreamingResponse
from waiting import PATIENCE_S, until

from service.api.connections.limits import HEADERS_LIMIT, PIPELINED_BYTES, Connections
from service.api.gate import Application
from service.telemetry.logs import NowAndThen

MakeApp = Callable[..., Application]


def test_a_head_that_drips_is_given_up(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as slow:
        slow.say(b"GET /health/live HTTP/1.1\r\n")
        for number in range(3):
            slow.say(b"X-%d: 1\r\n" % number)
            front.wait_for_headers(number)
            front.let_pass(3)
        assert front.rejected == {}
        front.let_pass(1.1)
        assert_last_problem(slow, 408, "head of the request did not come within 10 s")
        assert front.rejected == {"header_timeout": 1}
        front.wait_for_end()


def test_a_connection_on_which_nothing_is_ever_asked_is_closed_without_a_word(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as silent:
        front.wait_for_connections(1)
        front.let_pass(11)
        assert silent.everything() == b""
        assert front.rejected == {}


def test_an_idle_connection_is_kept_as_long_as_it_is_set_to_be(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as idle:
        for _ in range(4):
            assert idle.say(LIVE).answer()[0].headers.get("connection") is None
            front.let_pass(74)
        assert idle.say(LIVE).answer()[0].status == 200
        front.let_pass(76)
        assert idle.everything() == b""
        assert front.rejected == {}


def test_a_head_that_drips_after_a_request_is_given_up_sooner_than_an_idle_connection(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as slow:
        assert slow.say(LIVE).answer()[0].status == 200
        front.let_pass(5)
        slow.say(LIVE[:10])
        front.wait_for_headers(0)
        front.let_pass(11)
        assert_last_problem(slow, 408)


def test_a_body_that_stops_coming_is_given_up_and_leaves_nothing(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as silent, front.caller() as stalled:
        silent.say(POST + b"Content-Length: 5000\r\n\r\n")
        stalled.say(POST + b"Content-Length: 5000\r\n\r\n" + bytes(2000))
        until(lambda: (front.app.gate.open, front.app.gate.memory.taken) == (2, 2000))
        front.let_pass(31)
        assert_last_problem(silent, 408, "For 30 s too little of the body came")
        assert_last_problem(stalled, 408, "For 30 s too little of the body came")
        assert front.rejected == {"body_timeout": 2}
        front.wait_for_end()


def test_a_body_may_come_slowly_as_long_as_it_comes(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as slow:
        slow.say(POST + b"Content-Length: 200000\r\n\r\n")
        for number in range(1, 5):
            slow.say(bytes(20_000))
            front.wait_for_memory(20_000 * number)
            front.let_pass(25)
        slow.say(bytes(100))
        front.wait_for_memory(80_100)
        front.let_pass(31)
        assert_last_problem(slow, 408)


def test_one_that_waits_to_be_told_to_send_its_body_is_not_hurried(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())
    read = asyncio.Event()

    @app.post("/patient")
    async def patient(request: Request) -> int:
        await read.wait()
        return len(await request.body())

    with serving(app, ClockworkLoop) as front, front.caller() as caller:
        head = b"POST /patient HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % LOCAL_TOKEN.encode()
        caller.say(head + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        until(lambda: front.app.gate.open == 1)
        for _ in range(3):
            front.let_pass(31)
        front.do(read.set)
        assert caller.line() == b"HTTP/1.1 100 Continue\r\n"
        assert caller.line() == b"\r\n"
        assert caller.say(b"abc").answer()[1] == b"3"


def test_silent_requests_take_no_place_from_work(make_app: MakeApp) -> None:
    with serving(make_app(FakeEngine([echoed(1)]), queue_limit=2)) as front:
        callers = [front.caller().say(POST + b"Content-Length: 5000\r\n\r\n") for _ in range(20)]
        until(lambda: front.app.gate.open == 20)
        assert front.app.gate.working == 0
        with front.caller() as other:
            assert other.say(whole()).answer()[0].status == 200
        for caller in callers:
            caller.socket.close()
        front.wait_for_end()


def test_what_is_left_of_a_body_that_was_refused_is_passed_over_only_so_long(app: Application) -> None:
    with serving(app, ClockworkLoop) as front, front.caller() as caller:
        caller.say(POST + b"Content-Length: 999999999999999\r\n\r\n")
        assert caller.answer()[0].status == 413
        caller.say(bytes(1_000_000))
        front.let_pass_until_closed(31)
        assert caller.everything() == b""
        front.wait_for_end()


def test_a_connection_goes_on_after_a_body_that_was_refused_and_came_all_the_same(front: Front) -> None:
    with front.caller() as caller:
        caller.say(POST.replace(b"image/png", b"text/plain") + b"Content-Length: 100000\r\n\r\n")
        assert caller.answer()[0].status == 415
        caller.say(bytes(100_000) + LIVE)
        assert caller.answer()[0].status == 200


@pytest.mark.parametrize("size", [1, 300, 5000])
def test_a_head_without_an_end_is_refused_before_it_is_long(front: Front, size: int) -> None:
    with front.caller() as endless:
        endless.say(b"GET /health/live HTTP/1.1\r\nX-Endless: ")
        sent = 0
        while sent < 32768 + size:
            endless.say(b"a" * size * 20)
            sent += size * 20
        assert_last_problem(endless, 431, "32,768 bytes")
    assert_lives(front)


@pytest.mark.parametrize("padding", [b"0\r\nX-Endless: ", b"0\r\n", b"5;", b"5\r\nabcde\r\n5;"])
def test_what_lies_between_the_pieces_of_a_body_has_the_same_limit(front: Front, padding: bytes) -> None:
    with front.caller() as endless:
        endless.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + padding)
        for _ in range(16):
            endless.say(b"a: b\r\n" * 700 if padding == b"0\r\n" else b"a" * 5000)
        assert_last_problem(endless, 431, "32,768 bytes")
    assert_lives(front)


def test_a_head_just_within_the_limit_is_read_and_one_just_beyond_is_not(make_app: MakeApp) -> None:
    with serving(make_app(FakeEngine(), header_limit_bytes=2000)) as front:
        for size, status in ((1999, 200), (2001, 431)):
            head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: "
            with front.caller() as caller:
                caller.say(head + b"a" * (size - len(head) - 4) + b"\r\n\r\n")
                assert caller.answer()[0].status == status


def test_a_head_of_many_lines_is_refused(front: Front) -> None:
    for count, status in ((HEADERS_LIMIT - 1, 200), (HEADERS_LIMIT, 431), (9000, 431)):
        with front.caller() as caller:
            caller.say(LIVE[:-2] + b"a:\r\n" * count + b"\r\n")
            assert caller.answer()[0].status == status


def test_a_long_head_behind_a_long_body_is_measured_by_itself(front: Front) -> None:
    long = LIVE.replace(b"Host", b"X: " + b"a" * 20_000 + b"\r\nHost")
    refused = POST.replace(b"image/png", b"text/plain") + b"Content-Length: 30000\r\n\r\n" + bytes(30_000)
    with front.caller() as caller:
        for cut in (1, 50, 10_000, 30_050, 45_000):
            said = refused + long
            caller.say(said[:cut])
            caller.say(said[cut:])
            assert caller.answer()[0].status == 415
            assert caller.answer()[0].status == 200


def test_more_connections_than_there_may_be_are_told_so(make_app: MakeApp) -> None:
    with serving(make_app(FakeEngine(), connection_limit=4, client_share=1.0)) as front:
        held = [front.caller() for _ in range(4)]
        front.wait_for_connections(4)
        with front.caller() as further:
            reply, body = further.say(LIVE).answer()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert "4 connections are open here" in json.loads(body)["detail"]
            assert further.everything() == b""
        assert front.rejected == {"connections_full": 1}
        for caller in held:
            assert caller.say(LIVE).answer()[0].status == 200
            caller.socket.close()
        front.wait_for_connections(0)
        assert_lives(front)


def test_one_client_leaves_connections_to_others(make_app: MakeApp) -> None:
    with serving(make_app(FakeEngine(), connection_limit=16)) as front:
        greedy = [front.caller() for _ in range(16)]
        statuses = [caller.say(LIVE).answer()[0].status for caller in greedy]
        assert sorted(set(statuses)) == [200, 503]
        assert_lives(front)
        for caller in greedy:
            caller.socket.close()


def test_connections_of_a_trusted_proxy_are_those_of_many_clients(make_app: MakeApp) -> None:
    connections = Connections(make_app(FakeEngine(), trusted_proxies=("192.0.2.0/24",)).gate)
    assert connections.client_at(("192.0.2.1", 4001)) != connections.client_at(("192.0.2.1", 4002))
    assert connections.client_at(("198.51.100.1", 1)) == connections.client_at(("198.51.100.1", 2)) == "198.51.100.1"
    assert connections.client_at(("2001:db8:1:2::1", 1)) == connections.client_at(("2001:db8:1:2::2", 2))


def test_connections_are_as_many_as_the_system_has_descriptors_for(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    gate = make_app(FakeEngine()).gate
    assert Connections(gate, descriptors=1024).open.limit < 1024
    assert "the system gives 1024 descriptors" in caplog.text
    assert Connections(gate, descriptors=10**6).open.limit == gate.settings.connection_limit


def test_a_client_that_takes_no_answer_is_cut_off(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield bytes(65536)
                await asyncio.sleep(0)

        return StreamingResponse(pieces())

    with serving(app, ClockworkLoop) as front, front.caller(receive_buffer=4096) as deaf:
        deaf.say(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: front.app.gate.memory.taken)
        front.let_pass(31)
        until(lambda: front.rejected == {"write_timeout": 1})
        front.wait_for_end()


def test_answers_that_nobody_takes_have_bounds_together(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(), memory_limit_bytes=30_000_000)

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(20_000_000)

        return StreamingResponse(pieces())

    with serving(app) as front:
        deaf = [
            front.caller(receive_buffer=4096).say(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(3)
        ]
        until(lambda: front.rejected == {"write_timeout": 2})
        assert front.app.gate.memory.taken < 30_000_000
        assert_lives(front)
        for caller in deaf:
            caller.socket.close()
        front.wait_for_end()


def test_requests_sent_ahead_take_memory_and_have_bounds(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(), memory_limit_bytes=20 * PIPELINED_BYTES)
    slow = Slow(app)
    with serving(app) as front, front.caller() as caller:
        caller.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE * 500)
        assert slow.asked.wait(PATIENCE_S)
        slow.answer.set()
        assert caller.answer()[0].status == 200
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            statuses.append(caller.answer()[0].status)
        assert statuses[-1] == 429
        assert caller.everything() == b""
        front.wait_for_end()


def test_nobody_works_for_whoever_sends_many_ahead_and_hangs_up(front: Front) -> None:
    held, hold = threading.Event(), threading.Event()
    with front.caller() as foe:
        assert foe.say(LIVE).answer()[0].status == 200
        front.loop.call_soon_threadsafe(held.set)
        front.loop.call_soon_threadsafe(hold.wait, PATIENCE_S)
        assert held.wait(PATIENCE_S)
        foe.say(whole() * 50).reset()
        hold.set()
    front.wait_for_end()
    assert front.app.state.shared.engines.calls == []


def test_nobody_fills_the_log_from_outside(make_app: MakeApp) -> None:
    lines: list[str] = []
    kept = logging.Handler()
    kept.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("asyncio", "uvicorn.error", Connections.__module__)]
    quiet = NowAndThen()
    for logger in loggers:
        logger.addFilter(quiet)
        logger.addHandler(kept)
    app = make_app(FakeEngine([echoed(1)]))
    slow = Slow(app)
    try:
        with serving(app) as front:
            lines.clear()
            for _ in range(5):
                for garbage in GARBAGE.values():
                    with front.caller() as scanner:
                        scanner.say(garbage).everything()
                with front.caller():
                    pass
                with front.caller() as gone:
                    gone.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + (LIVE + whole()) * 50)
            assert slow.asked.wait(PATIENCE_S)
            slow.answer.set()
            front.wait_for_end()
            written = [line for line in lines if "Shutting down" not in line]
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)
            logger.removeHandler(kept)
    assert written == ["what came from 127.0.0.1 is not HTTP"]


def test_nobody_waits_on_behalf_of_who_hung_up_before_being_refused(make_app: MakeApp) -> None:
    app, waits = make_app(FakeEngine()), threading.Event()

    async def wait(_client: str) -> None:
        waits.set()
        await asyncio.Event().wait()

    app.gate.doorsteps["POST", "/evaluate"] = wait
    with serving(app) as front:
        with front.caller() as caller:
            caller.say(b"POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
            assert waits.wait(PATIENCE_S)
        front.wait_for_end()
