"""HTTP as clients speak it that no library is: half-closed, ahead of its answers, old, or no HTTP at all."""

import inspect
import threading
from collections.abc import Callable

import pytest
from api.fronts import (
    GARBAGE,
    LIVE,
    PICTURE,
    POST,
    Front,
    Slow,
    assert_last_problem,
    assert_lives,
    serving,
    whole,
)
from doubles import FakeEngine, Unanswering, echoed
from fastapi.responses import StreamingResponse
from uvicorn.protocols.http import flow_control, httptools_impl
from waiting import PATIENCE_S, until

from service.api.gate import Application
from service.api.singles import SINGLES

MakeApp = Callable[..., Application]

LONG_HOST = b"Host: %s\r\n" % (b"a" * 301)


def test_what_is_relied_on_of_uvicorns_protocol_is_there() -> None:
    """Where this fails the protocol of another uvicorn has to be read again, line by line."""
    protocol, cycle = httptools_impl.HttpToolsProtocol, httptools_impl.RequestResponseCycle
    assert list(inspect.signature(protocol).parameters) == ["config", "server_state", "app_state", "_loop"]
    assert list(inspect.signature(cycle).parameters) == [
        *("scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event"),
        *("expect_100_continue", "keep_alive", "on_response"),
    ]
    for source, names in (
        (protocol.__init__, ("cycle", "pipeline", "transport", "flow", "scope", "headers", "tasks", "loop", "parser")),
        (protocol.on_message_begin, ("self.url", "self.headers", "self.scope", '"http_version": "1.1"')),
        (
            protocol.on_headers_complete,
            (
                'self.scope["method"] = method.decode("ascii")',
                'self.scope["http_version"] = http_version',
                "httptools.parse_url(self.url)",
                'path = raw_path.decode("ascii")',
                "path = urllib.parse.unquote(path)",
                'self.scope["query_string"] = parsed_url.query or b""',
                "message_event=asyncio.Event()",
                'keep_alive=http_version != "1.0" and self.parser.should_keep_alive()',
                "on_response=self.on_response_complete",
                "self.flow.pause_reading()",
                "self.pipeline.appendleft((self.cycle, app))",
                "self._start_asgi_task(self.cycle, app)",
            ),
        ),
        (protocol.on_body, ("cycle.body", "pause_reading", "response_complete")),
        (protocol.on_response_complete, ("total_requests", "resume_reading", "pipeline.pop()")),
        (protocol._start_asgi_task, ("create_task(cycle.run_asgi(app))", "tasks.discard", "tasks.add")),
        (protocol.connection_lost, ("connections.discard(self)", "self.parser = None")),
        (cycle.__init__, ("disconnected", "more_body", "message_event", "waiting_for_100_continue", "keep_alive")),
        (cycle.send, ("response_started", "response_complete", "chunked_encoding", "expected_content_length")),
        (flow_control.FlowControl.pause_reading, ("read_paused",)),
        (flow_control.FlowControl.pause_writing, ("write_paused",)),
    ):
        text = inspect.getsource(source)
        assert [name for name in names if name not in text] == []


def test_one_that_has_said_all_and_closed_its_side_is_answered(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]))
    slow = Slow(app)
    with serving(app) as front, front.caller() as caller:
        caller.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE + whole()).end()
        assert slow.asked.wait(PATIENCE_S)
        slow.answer.set()
        assert caller.answer()[1] == b'"slowly"'
        assert caller.answer()[0].status == 200
        assert caller.answer()[0].status == 200
        assert caller.everything() == b""


def test_one_that_closed_its_side_and_waits_long_is_told_that_it_goes_on(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]))
    slow = Slow(app)
    with serving(app) as front, front.caller() as caller:
        caller.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").end()
        assert caller.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        slow.answer.set()
        reply, body = caller.answer()
        assert (reply.status, body) == (200, b'"slowly"')


def test_the_work_of_one_that_is_gone_ends(make_app: MakeApp) -> None:
    engine = Unanswering()
    with serving(make_app(engine)) as front:
        with front.caller() as caller:
            caller.say(whole())
            until(engine.asked.is_set)
        until(engine.dropped.is_set)
        front.wait_for_end()


def test_one_that_closes_its_side_in_the_middle_of_a_request_is_gone(front: Front) -> None:
    with front.caller() as caller:
        caller.say(POST + b"Content-Length: 5000\r\n\r\nabc").end()
        assert caller.everything() == b""
    front.wait_for_end()


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"


def test_a_wish_for_another_protocol_is_passed_over_and_the_body_read(front: Front) -> None:
    asked = whole().replace(b"Host: localhost\r\n", b"Host: localhost\r\n" + UPGRADE)
    end = asked.index(b"\r\n\r\n") + 4
    with front.caller() as caller:
        for cut in (0, 30, end - 2, end, end + 5):
            caller.say(asked[:cut])
            caller.say(asked[cut:] + LIVE)
            assert caller.answer()[0].status == 200
            assert caller.answer()[0].status == 200
        chunked = POST + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE)
        assert caller.say(chunked).answer()[0].status == 200
        assert caller.say(LIVE.replace(b"Host", UPGRADE + b"Host")).answer()[0].status == 200
        assert (
            caller.say(LIVE.replace(b"Host", UPGRADE.replace(b"h2c", b"websocket") + b"Host")).answer()[0].status == 200
        )


def test_old_clients_get_no_chunks(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())

    @app.get("/pieces")
    async def pieces() -> StreamingResponse:
        return StreamingResponse(iter([b"one, ", b"", b"two"]))

    with serving(app) as front:
        for version, chunked in ((b"1.0", None), (b"1.1", "chunked")):
            with front.caller() as caller:
                caller.say(b"GET /pieces HTTP/%s\r\nHost: localhost\r\nConnection: close\r\n\r\n" % version)
                reply, body = caller.answer()
                assert reply.headers.get("transfer-encoding") == chunked
                assert body == b"one, two"
                assert caller.everything() == b""
        with front.caller() as caller:
            reply, body = caller.say(b"GET /health/live HTTP/1.0\r\n\r\n").answer()
            assert int(reply.headers["content-length"]) == len(body) > 0


@pytest.mark.parametrize("path", ["/health/live", "/models", "/openapi.json", "/nowhere"])
def test_head_answers_as_get_does_without_the_body(front: Front, path: str) -> None:
    with front.caller() as caller:
        got, body = caller.say(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()).answer()
        headed, nothing = caller.say(b"HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()).answer("HEAD")
        assert (headed.status, nothing) == (got.status, b"")
        assert headed.headers["content-length"] == str(len(body))
        assert headed.headers["content-type"] == got.headers["content-type"]
        assert caller.say(LIVE).answer()[0].status == 200


def test_many_requests_at_once_are_answered_in_their_order(front: Front) -> None:
    asked = [
        b"GET /health/live?n=%d HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %d\r\n\r\n" % (n, n) for n in range(1500)
    ]
    with front.caller() as caller:
        telling = threading.Thread(target=lambda: caller.say(b"".join(asked)))
        telling.start()
        for number in range(1500):
            assert caller.answer()[0].headers["x-request-id"] == str(number)
        telling.join(PATIENCE_S)
        assert front.app.gate.memory.taken == 0


def test_what_is_no_http_is_told_after_what_was_asked_before_it(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())
    slow = Slow(app)
    with serving(app) as front, front.caller() as caller:
        caller.say(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" + LIVE)
        assert slow.asked.wait(PATIENCE_S)
        caller.say(b"\x16\x03\x01 nonsense\r\n\r\n")
        slow.answer.set()
        assert caller.answer()[1] == b'"slowly"'
        assert caller.answer()[0].status == 200
        assert_last_problem(caller, 400, "not HTTP/1.1")


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_no_http_gets_400(front: Front, kind: str) -> None:
    with front.caller() as caller:
        assert_last_problem(caller.say(GARBAGE[kind]), 400)
    assert_lives(front)
    front.wait_for_end()


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"deflate, chunked"])
def test_a_coding_of_the_way_here_is_not_taken_off_and_so_refused(front: Front, coding: bytes) -> None:
    with front.caller() as caller:
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE)
        reply, body = caller.say(POST + b"Transfer-Encoding: %s\r\n\r\n%s" % (coding, chunks)).answer()
        assert (reply.status, coding in body) == (415, True)
    front.wait_for_end()


@pytest.mark.parametrize("name", sorted(SINGLES - {b"transfer-encoding"}))
def test_of_two_lines_that_may_stand_once_neither_counts(front: Front, name: bytes) -> None:
    twice = b"%s: localhost\r\n%s: 127.0.0.1\r\n\r\n" % (name, name)
    with front.caller() as caller:
        for path in (b"/models", b"/health/live", b"/metrics"):
            reply, body = caller.say(b"GET %s HTTP/1.1\r\n%s" % (path, twice)).answer()
            assert (reply.status, b"stands in it twice" in body) == (400, True)
        others = b"Host: localhost\r\nAccept: application/json\r\nAccept: */*\r\n\r\n"
        assert caller.say(b"GET /models HTTP/1.1\r\n" + others).answer()[0].status == 200
    front.wait_for_end()


@pytest.mark.parametrize("path", [b"/models", b"/health/live", b"/metrics", b"/nowhere"])
@pytest.mark.parametrize(
    "host", [b"", b"Host: a b\r\n", b"Host: local/host\r\n", b"Host: u@localhost\r\n", b"Host: \xc3\xa9\r\n", LONG_HOST]
)
def test_whoever_speaks_http_1_1_says_to_whom(front: Front, path: bytes, host: bytes) -> None:
    with front.caller() as caller:
        reply, body = caller.say(b"GET %s HTTP/1.1\r\n%s\r\n" % (path, host)).answer()
        assert (reply.status, b"Host" in body) == (400, True)
    front.wait_for_end()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /models HTTP/1.0\r\n",
        b"GET /models HTTP/1.1\r\nHost:\r\n",
        b"GET /models HTTP/1.1\r\nHost: [::1]:8000\r\n",
        b"GET http://localhost:8000/models HTTP/1.1\r\nHost: evil.example\r\n",
        b"GET http://localhost?x HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
def test_a_host_may_be_left_out_by_http_1_0_or_stand_in_the_target(front: Front, head: bytes) -> None:
    with front.caller() as caller:
        assert caller.say(head + b"\r\n").answer()[0].status in (200, 422)
    front.wait_for_end()


@pytest.mark.parametrize("target", [b"http://evil.example/models", b"http://evil.example:80/models?a", b"http://u@h/"])
def test_the_host_that_a_target_names_is_the_one_that_counts(front: Front, target: bytes) -> None:
    with front.caller() as caller:
        reply, body = caller.say(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target).answer()
        assert (reply.status, b"Host" in body) == (400 if b"@" in target else 403, True)
    front.wait_for_end()
