"""What is answered where its bytes arrive, what is handed on, and that nobody can tell the difference."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from api.fronts import PICTURE, POST, Front, assert_last_problem, serving, whole
from doubles import FakeEngine, Unanswering, echoed
from waiting import until

from service.api.connections.direct import DirectConnection
from service.api.gate import Application
from service.api.together import Sent
from service.evaluation.queue.keys import Key, digest_of
from service.imaging import encode_png

MakeApp = Callable[..., Application]
VARIES = re.compile(rb"(date|x-request-id): [^\r]*\r\n|HTTP/1.1 100 Continue\r\n\r\n")
"""The time, the id of a request, and what is said to one that has closed its side and waits for long."""
LENGTH = b"Content-Length: %d\r\n\r\n" % len(PICTURE)


@pytest.fixture
def engine() -> Unanswering:
    return Unanswering()


@pytest.fixture
def waiting(make_app: MakeApp, engine: Unanswering) -> Iterator[Front]:
    """A front whose engine never answers."""
    with knowing(make_app(engine)) as front:
        yield front


@contextmanager
def knowing(app: Application) -> Iterator[Front]:
    """A front that knows its keys already: whoever asks it first waits for them."""
    asyncio.run(app.gate.guard.keyring.read_again())
    with serving(app) as front:
        yield front


def in_a_task(front: Front) -> bool:
    """Whether the application answers, and not the connection itself."""
    return bool(front.server.server_state.tasks)


def test_a_raw_image_is_asked_about_without_a_task(waiting: Front, engine: Unanswering) -> None:
    waiting.caller().say(whole())
    until(engine.asked.is_set)
    assert not in_a_task(waiting)
    assert (waiting.app.gate.open, waiting.app.gate.working) == (1, 1)


def test_a_body_that_comes_later_than_its_head_is_answered_in_the_same_way(waiting: Front, engine: Unanswering) -> None:
    caller = waiting.caller().say(POST + LENGTH)
    until(lambda: waiting.app.gate.open == 1)
    assert waiting.app.gate.working == 0
    caller.say(PICTURE[:20]).say(PICTURE[20:])
    until(engine.asked.is_set)
    assert not in_a_task(waiting)


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Deadline-Ms: 60000\r\n",
        b"Origin: http://localhost\r\n",
        b"X-Forwarded-For: 192.0.2.1\r\n",
        b"X-Anything: 1\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Accept: application/json\r\nAccept: */*\r\n",
    ],
)
def test_what_asks_for_more_is_handed_on(waiting: Front, engine: Unanswering, lines: bytes) -> None:
    waiting.caller().say(POST + lines + LENGTH + PICTURE)
    until(engine.asked.is_set)
    assert in_a_task(waiting)


def test_what_waits_for_an_answer_before_it_is_handed_on(waiting: Front, engine: Unanswering) -> None:
    waiting.caller().say(whole() + whole())
    until(engine.asked.is_set)
    [connection] = waiting.server.server_state.connections
    until(lambda: len(connection.pipeline) == 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "lines", "body"),
    [
        (b"/classify", b"", PICTURE),
        (b"/classify?model=echo&top_k=2", b"Accept: */*\r\nUser-Agent: curl/8\r\n", PICTURE),
        (b"/classify", b"Accept: text/html\r\n", PICTURE),
        (b"/classify?model=nobody", b"", PICTURE),
        (b"/classify?model=doodle", b"", PICTURE),
        (b"/classify?top_k=0", b"", PICTURE),
        (b"/classify?what=1", b"", PICTURE),
        (b"/classify", b"", PICTURE[:-30]),
        (b"/classify", b"", b""),
        (b"/classify", b"", b"GIF89a"),
        (b"/classify", b"Authorization: Bearer nobody\r\n", PICTURE),
        (b"/classify", b"Content-Type: application/json\r\n", json.dumps({"image": "eA=="}).encode()),
        (b"/classify", b"Content-Type: text/plain\r\n", PICTURE),
        (b"/generate", b"", PICTURE),
        (b"http://localhost/classify", b"", PICTURE),
        (b"http://elsewhere.example/classify", b"", PICTURE),
    ],
)
def test_the_answer_is_the_same_whichever_way_it_takes(
    make_app: MakeApp, target: bytes, lines: bytes, body: bytes
) -> None:
    kind = b"" if b"Content-Type" in lines else b"Content-Type: image/png\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    asked = b"POST " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + kind + lines + length + b"\r\n" + body
    app = make_app(FakeEngine([echoed(1)]))
    found = [_everything_said(app, asked)]
    app.gate.direct_paths.clear()
    found.append(_everything_said(app, asked))
    assert found[0] == found[1]
    assert found[0].startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("host", [b"", b"Host: a b\r\n", b"Host: elsewhere.example\r\n"])
def test_a_host_is_looked_at_whichever_way_it_takes(make_app: MakeApp, host: bytes) -> None:
    asked = b"POST /classify HTTP/1.1\r\n" + host + LENGTH + PICTURE
    app = make_app(FakeEngine([echoed(1)]))
    found = [_everything_said(app, asked)]
    app.gate.direct_paths.clear()
    found.append(_everything_said(app, asked))
    assert found[0] == found[1]
    assert found[0].startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


def _everything_said(app: Application, asked: bytes) -> bytes:
    """What is said to a request, and to the same once more, whose head is known by then."""
    with knowing(app) as front:
        caller = front.caller().say(asked)
        caller.answer("POST")
        said = caller.say(asked).end().everything()
        front.wait_for_end()
    return VARIES.sub(b"", said)


@pytest.fixture
def front(make_app: MakeApp) -> Iterator[Front]:
    """A front whose engine gives one answer to everything."""
    with knowing(make_app(FakeEngine([echoed(1)]))) as front:
        yield front


def test_answers_come_in_the_order_of_their_questions(front: Front) -> None:
    caller = front.caller().say(whole() + whole(b"no image") + whole())
    assert [caller.answer("POST")[0].status for _ in range(3)] == [200, 422, 200]
    front.wait_for_memory(0)


def test_of_many_that_come_at_once_one_is_answered_at_once(front: Front) -> None:
    asked: list[bytes] = []
    path = front.app.gate.direct_paths["/classify"]

    def ask(headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> Sent | None:
        asked.append(body)
        return path.ask(headers, query, body)

    front.app.gate.direct_paths["/classify"] = path._replace(ask=ask)
    with front.caller() as caller:
        caller.say(whole().replace(b"/classify", b"/classify?model=nobody") * 30)
        assert [caller.answer("POST")[0].status for _ in range(30)] == [404] * 30
        assert len(asked) < 10  # one of each piece that is read
        assert caller.say(whole()).answer("POST")[0].status == 200
        assert asked[-1] == PICTURE
    front.wait_for_end()


def test_what_is_no_http_behind_a_request_is_refused_after_its_answer(front: Front) -> None:
    caller = front.caller().say(whole() + b"\x00\x01 no request\r\n\r\n")
    assert caller.answer("POST")[0].status == 200
    assert_last_problem(caller, 400, "not HTTP")
    front.wait_for_end()


def test_a_front_that_ends_answers_what_it_has_begun_and_says_that_this_was_the_last(front: Front) -> None:
    with front.caller() as caller:
        caller.say(POST + LENGTH)
        until(lambda: front.app.gate.open == 1)
        [connection] = front.server.server_state.connections
        front.do(connection.shutdown)
        caller.say(PICTURE)
        reply, _ = caller.answer("POST")
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert caller.everything() == b""


def test_a_client_without_memory_left_is_told_so(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), memory_limit_bytes=len(PICTURE) - 1)
    with knowing(app) as front:
        caller = front.caller().say(POST + LENGTH + PICTURE[:-1])
        front.wait_for_memory(len(PICTURE) - 1)
        assert caller.say(PICTURE[-1:]).answer("POST")[0].status == 413
        front.wait_for_memory(0)
        assert caller.say(whole(b"x")).answer("POST")[0].status == 422
    assert front.rejected == {"memory_full": 1}


def heads_of(front: Front) -> int:
    """How many heads of requests it knows."""
    [connection] = front.server.server_state.connections
    assert isinstance(connection, DirectConnection)
    return len(connection._all.heads)


def test_a_head_that_comes_again_is_known_whatever_body_it_has(front: Front) -> None:
    caller = front.caller()
    for body, status in ((PICTURE, 200), (PICTURE, 200), (bytes(len(PICTURE)), 422), (PICTURE, 200)):
        assert caller.say(whole(body)).answer("POST")[0].status == status
    assert heads_of(front) == 1
    front.wait_for_memory(0)


def test_what_follows_a_known_head_is_cut_as_any_other_is(front: Front) -> None:
    caller = front.caller()
    for _ in range(2):
        assert caller.say(whole()).answer("POST")[0].status == 200
    head, _, picture = whole().partition(b"\r\n\r\n")
    caller.say(head + b"\r\n\r\n").say(picture[:9]).say(picture[9:] + whole(b"no image") + b"\r\n" + whole())
    assert [caller.answer("POST")[0].status for _ in range(3)] == [200, 422, 200]
    caller.say(b"\r\n\r\n").say(whole())
    assert caller.answer("POST")[0].status == 200
    front.wait_for_memory(0)


def test_a_head_with_an_id_of_its_own_is_not_kept(front: Front) -> None:
    caller = front.caller()
    for name in (b"a", b"b"):
        asked = POST + b"X-Request-Id: " + name + b"\r\n" + LENGTH + PICTURE
        for _ in range(2):
            reply, _ = caller.say(asked).answer("POST")
            assert (reply.status, reply.headers["x-request-id"]) == (200, name.decode())
    assert heads_of(front) == 0


def test_who_may_ask_is_decided_anew_for_a_known_head(front: Front) -> None:
    caller = front.caller()
    for _ in range(3):
        assert caller.say(whole()).answer("POST")[0].status == 200
    front.do(lambda: setattr(front.app.gate, "draining", True))
    assert caller.say(whole()).answer("POST")[0].status == 503


def test_a_key_is_looked_at_anew_for_a_known_head(front: Front) -> None:
    asked = POST + b"Authorization: Bearer of-ci\r\n" + LENGTH + PICTURE
    key, keyring = Key("ci", digest_of(b"of-ci"), frozenset({"infer"}), 0.0), front.app.gate.guard.keyring
    front.do(partial(setattr, keyring, "_due_at", math.inf))  # the database knows none of these
    caller = front.caller()
    for known, status in (
        (key, 200),
        (key, 200),
        (replace(key, revoked=1.0), 401),
        (key, 200),
        (replace(key, scopes=frozenset({"evaluate"})), 403),
    ):
        front.do(partial(keyring._take, [known]))
        assert caller.say(asked).answer("POST")[0].status == status
    assert heads_of(front) == 1


def test_an_image_that_takes_longer_is_read_elsewhere_though_its_head_is_known(front: Front) -> None:
    small, large = encode_png(np.zeros((8, 8, 1), np.uint8)), encode_png(np.zeros((900, 900, 1), np.uint8))
    small += bytes(len(large) - len(small))  # what is behind its end is said, and no harm
    caller = front.caller()
    for body in (small, small, large, small):
        assert caller.say(whole(body)).answer("POST")[0].status == 200
    assert heads_of(front) == 1
    front.wait_for_memory(0)


def test_a_client_that_hangs_up_with_a_known_head_is_dropped(waiting: Front, engine: Unanswering) -> None:
    caller = waiting.caller()
    for _ in range(2):
        assert caller.say(whole(bytes(len(PICTURE)))).answer("POST")[0].status == 422
    assert heads_of(waiting) == 1
    caller.say(whole())
    until(engine.asked.is_set)
    caller.reset()
    until(engine.dropped.is_set)
    waiting.wait_for_end()
