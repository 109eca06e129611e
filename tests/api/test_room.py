"""Each attack on the room of a front and its disk: silent requests, uploads that claim much, bodies that stall."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api.asking import assert_problem, in_pieces
from api.evaluating import asking, state_over
from api.fronts import PICTURE, POST, ClockworkLoop, Front, assert_last_problem, assert_lives, serving, whole
from doubles import FakeEngine, Unanswering, echoed
from waiting import until

from service.api.access.callers import LOCAL
from service.api.gate import Application
from service.evaluation.pipeline import Bench
from service.settings import Settings

MakeApp = Callable[..., Application]
UPLOAD = b"POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FORECAST = b"POST /forecast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="generated"; filename="g"\r\n\r\n'
TWO_GIBIBYTES = b"Content-Length: 2147483648\r\n\r\n"


@pytest.fixture
def front(make_app: MakeApp) -> Iterator[Front]:
    with serving(make_app(FakeEngine([echoed(1)])), ClockworkLoop) as running:
        yield running


def uploads_of(settings: Settings) -> list[Path]:
    folder = settings.state / "uploads"
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("length", ["2147483649", "10000000000000", "999999999999999", "18446744073709551615"])
def test_an_upload_that_says_it_is_too_large_is_refused_and_leaves_nothing(
    front: Front, service_settings: Settings, length: str
) -> None:
    with front.caller() as caller:
        caller.say(UPLOAD + b"Content-Length: %s\r\n\r\n" % length.encode())
        reply, body = caller.answer()
        assert (reply.status, reply.headers["content-type"]) == (413, "application/problem+json")
        assert f"{int(length):,} bytes" in json.loads(body)["detail"]
    assert uploads_of(service_settings) == []


def test_uploads_that_claim_all_the_disk_keep_nobody_out_and_end(front: Front, service_settings: Settings) -> None:
    half_open = [front.caller().say(UPLOAD + TWO_GIBIBYTES + PART) for _ in range(8)]
    until(lambda: len(uploads_of(service_settings)) == 8)
    for host in ("127.0.0.1", "127.0.0.2"):
        with front.caller(host=host) as other:
            other.say(UPLOAD + TWO_GIBIBYTES + PART + bytes(1000))
            until(lambda: any((folder / "generated").is_file() for folder in uploads_of(service_settings)))
    until(lambda: len(uploads_of(service_settings)) == 8)
    front.let_pass(31)
    for caller in half_open:
        assert_last_problem(caller, 408)
    until(lambda: uploads_of(service_settings) == [])
    front.wait_for_end()


def test_a_thousand_silent_requests_keep_nobody_out(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), queue_limit=16)
    with serving(app, ClockworkLoop) as front:
        silent = [front.caller().say(POST + b"Content-Length: 5000\r\n\r\n") for _ in range(200)]
        until(lambda: front.app.gate.open == 200)
        for host in ("127.0.0.1", "127.0.0.2"):
            with front.caller(host=host) as other:
                assert other.say(whole()).answer()[0].status == 200
        front.let_pass(31)
        for caller in silent:
            assert_last_problem(caller, 408)
        front.wait_for_end()


def test_one_client_leaves_places_among_the_work_to_others(make_app: MakeApp) -> None:
    with serving(make_app(Unanswering(), queue_limit=16)) as front:
        greedy = [front.caller().say(whole()) for _ in range(16)]
        until(lambda: front.rejected.get("front_full") == 4)
        assert front.app.gate.requests.held == {"127.0.0.1": 12}
        with front.caller(host="127.0.0.2") as other:
            other.say(whole())
            until(lambda: front.app.gate.requests.held.get("127.0.0.2") == 1)
        with front.caller() as another:
            reply, body = another.say(whole()).answer()
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
            assert "of them yours" in json.loads(body)["detail"]
        for caller in greedy:
            caller.socket.close()
        front.wait_for_end()


def test_stalled_bodies_take_memory_only_up_to_the_limit(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), memory_limit_bytes=1_000_000)
    with serving(app, ClockworkLoop) as front:
        stalled = [front.caller() for _ in range(6)]
        for caller in stalled:
            caller.say(POST + b"Content-Length: 300000\r\n\r\n" + bytes(200_000))
        until(lambda: front.rejected.get("memory_full", 0) >= 1)
        assert front.app.gate.memory.taken <= 1_000_000
        with front.caller(host="127.0.0.2") as other:
            assert other.say(whole()).answer()[0].status == 200
        front.let_pass_until_closed(31)  # within the first 30 s enough had come
        for caller in stalled:
            assert caller.answer()[0].status in (408, 429)
        front.wait_for_end()


def test_a_body_that_takes_more_memory_than_one_client_gets_is_too_large_and_not_too_soon(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), memory_limit_bytes=1_000_000)
    with serving(app) as front:
        with front.caller() as caller:
            caller.say(POST + b"Content-Length: 1100000\r\n\r\n" + bytes(1_100_000))
            assert caller.answer()[0].status == 413
        until(lambda: front.app.gate.memory.taken == 0)
        assert_lives(front)


@pytest.mark.parametrize("body", [b"[" + b"{}," * 100_000 + b"{}]", b'["' + b'a","' * 100_000 + b'"]', b"[" * 300_000])
def test_json_takes_the_memory_that_it_unfolds_to(make_app: MakeApp, body: bytes) -> None:
    with serving(make_app(FakeEngine(), memory_limit_bytes=5_000_000)) as front, front.caller() as caller:
        caller.say(FORECAST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert caller.answer()[0].status == 413
        front.wait_for_memory(0)


async def test_an_upload_takes_no_memory_but_its_fields_do(bench: Bench) -> None:
    async with asking(state_over(bench, memory_limit_bytes=1_000_000)) as (client, app):
        fields = {f"field{number}": "a" * 50_000 for number in range(40)}
        assert_problem(await client.post("/evaluate", files={"generated": b""}, data=fields), 413, "memory")
        metrics = b'--b\r\nContent-Disposition: form-data; name="metrics"\r\n\r\nnothing\r\n'
        body = metrics + PART + bytes(3_000_000) + b"\r\n--b--\r\n"
        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert_problem(await client.post("/evaluate", content=in_pieces(body, 50_000, []), headers=headers), 422)
        assert app.gate.memory.taken == 0


async def test_an_upload_is_looked_at_while_it_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.evaluations.jobs.CHECK_EVERY_BYTES", 100_000)
    state = state_over(bench, uploads_disk_bytes=1_000_000)
    taken: list[int] = []
    body = PART + bytes(3_000_000) + b"\r\n--b--\r\n"
    async with asking(state) as (client, _):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        reply = await client.post("/evaluate", content=in_pieces(body, 50_000, taken), headers=headers)
    assert_problem(reply, 429, "1,000,000 bytes of disk")
    assert max(taken) < 1_000_000
    assert uploads_of(state.settings) == []


async def test_what_one_client_has_on_the_disk_leaves_room_for_another(bench: Bench) -> None:
    state = state_over(bench, uploads_disk_bytes=1_000_000)
    waiting = state.uploads.begin("waiting", owner=LOCAL)
    (waiting / "generated").write_bytes(bytes(700_000))
    state.uploads.commit("waiting")
    asked = {"generated": bytes(60_000)}
    async with asking(state) as (client, _):
        assert_problem(await client.post("/evaluate", files=asked), 429, "each client's a part")
    state.uploads.discard("waiting")
    (state.uploads.begin("theirs", owner="127.0.0.2") / "generated").write_bytes(bytes(700_000))
    async with asking(state) as (client, _):
        reply = await client.post("/evaluate", files=asked, data={"metrics": "nothing"})
    assert_problem(reply, 422)


def test_a_picture_is_still_a_picture(front: Front) -> None:
    with front.caller() as caller:
        for cut in (1, 10, len(PICTURE) - 1):
            caller.say(POST + b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE[:cut])
            front.wait_for_memory(cut)
            assert caller.say(PICTURE[cut:]).answer()[0].status == 200
        front.wait_for_memory(0)
