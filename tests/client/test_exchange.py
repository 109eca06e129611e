import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from running import running_service

from service import __version__
from service.client import evaluations
from service.client.asynchronous import AsyncClient
from service.client.blocking import Client
from service.client.problems import error_from, retry_after_of
from service.client.sending import at_once
from service.errors import (
    NotReady,
    Overloaded,
    ServiceError,
    ServiceUnreachable,
    UnreadableArchive,
    error_types,
)
from service.evaluation.report.schema import Report
from service.settings import Settings

ADDRESS = "http://chapterhouse.test"
STATE = {"id": "e1", "status": "running", "progress": 0.5, "created": "2026", "ended": None, "problem": None}
REPORT: dict[str, Any] = {
    "id": "e1",
    "status": "finished",
    "seed": 0,
    "generated": {"count": 1, "sha256": "0"},
    "reference": {"count": 1, "sha256": "0"},
    "features": {"extractor": "echo", "dim": 4},
    "metrics": {},
}


def answering(*replies: httpx.Response | httpx.TransportError, **named: Any) -> tuple[Client, list[httpx.Request]]:
    """A client of a service that gives these replies, and the requests it gets."""
    waiting, requests = list(replies), []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        reply = waiting.pop(0)
        if isinstance(reply, httpx.TransportError):
            raise reply
        return reply

    return Client(ADDRESS, transport=httpx.MockTransport(answer), **named), requests


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "POLL_S", 0.001)


@pytest.mark.parametrize("kind", [kind for kind in error_types().values() if "title" in vars(kind)])
def test_every_error_crosses_as_itself(kind: type[ServiceError]) -> None:
    sent = kind("the case", errors=[{"field": "count", "message": "too many"}])
    found = error_from(json.loads(json.dumps(sent.problem())))
    assert type(found) is kind
    assert (found.detail, found.errors, found.status) == (sent.detail, sent.errors, sent.status)


def test_no_two_errors_give_themselves_one_title() -> None:
    titles = [kind.title for kind in error_types().values() if "title" in vars(kind)]
    assert len(set(titles)) == len(titles)


def test_a_problem_of_another_kind_keeps_its_status_and_its_words() -> None:
    error = error_from({"title": "Method Not Allowed", "status": 405, "detail": "Method Not Allowed for url"})
    assert (type(error), error.status) == (ServiceError, HTTPStatus.METHOD_NOT_ALLOWED)
    assert str(error) == "Method Not Allowed: Method Not Allowed for url"
    assert error_from({"title": "Odd", "status": 999}).status == HTTPStatus.INTERNAL_SERVER_ERROR


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(502, html="<h1>Bad Gateway</h1>"), "answered 502 Bad Gateway"),
        (httpx.Response(200, html="<h1>Welcome</h1>"), "is it a Chapterhouse"),
        (httpx.Response(200, json={"status": "finished"}), "cannot read"),
        (httpx.Response(200, json=[1]), "is it a Chapterhouse"),
    ],
)
def test_what_no_chapterhouse_wrote_is_a_clear_error(reply: httpx.Response, words: str) -> None:
    client, _ = answering(reply)
    with pytest.raises(ServiceError, match=words):
        client.evaluation("e1")


def refusal(retry_after: str = "0") -> httpx.Response:
    headers = {"retry-after": retry_after} if retry_after else {}
    return httpx.Response(429, json=Overloaded("full").problem(), headers=headers)


def test_retry_after_is_told() -> None:
    client, _ = answering(refusal("7"), retries=0)
    with pytest.raises(Overloaded, match="full") as refused:
        client.models()
    assert refused.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", [7]),
        ("Wed, 21 Oct 2015 07:28:00 GMT", [0]),
        ("Wed, 21 Oct 2015 07:28:00", [0]),
        ("soon", [None]),
        ("-1", [None]),
        ("", [None]),
    ],
)
def test_retry_after_is_seconds_or_a_date(told: str, seconds: list[int | None]) -> None:
    assert retry_after_of(httpx.Response(429, headers={"retry-after": told})) in seconds


def test_a_date_to_come_is_as_far_away_as_it_is() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    told = retry_after_of(httpx.Response(429, headers={"retry-after": soon}))
    assert told is not None
    assert 3000 < told <= 3600


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_was_refused_is_sent_again_when_the_service_says(status: int) -> None:
    refused = httpx.Response(status, json=Overloaded("full").problem(), headers={"retry-after": "0"})
    client, requests = answering(refused, refused, httpx.Response(200, json={"models": []}))
    assert client.models() == []
    assert len(requests) == 3


def test_the_files_of_a_form_are_sent_again_from_their_beginning() -> None:
    client, requests = answering(refusal(), httpx.Response(200, json=REPORT))
    client.evaluate(io.BytesIO(b"samples"), "real-test")
    first, second = (request.content.partition(b"samples")[1] for request in requests)
    assert first == second == b"samples"


@pytest.mark.parametrize(
    ("refused", "retries", "sent"),
    [
        (refusal(), 2, 3),
        (refusal(), 0, 1),
        (refusal(""), 2, 1),
        (refusal("3600"), 2, 1),
        (httpx.Response(500, json=ServiceError("x").problem(), headers={"retry-after": "0"}), 2, 1),
    ],
    ids=["to the last try", "no retries", "without a time", "much later", "what may have been done"],
)
def test_it_is_given_up_in_the_end(refused: httpx.Response, retries: int, sent: int) -> None:
    client, requests = answering(*[refused] * sent, retries=retries)
    with pytest.raises(ServiceError):
        client.generate()
    assert len(requests) == sent


def test_what_can_be_read_only_once_is_sent_once() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    client, requests = answering(refusal())
    with pytest.raises(Overloaded):
        client.evaluate(Pipe(b"samples"), "real-test")
    assert len(requests) == 1


async def test_programs_that_go_on_meanwhile_wait_and_follow_in_the_same_way() -> None:
    replies = [
        refusal(),
        httpx.Response(307, headers={"location": "/elsewhere"}),
        httpx.Response(200, json={"models": []}),
    ]
    transport = httpx.MockTransport(lambda _: replies.pop(0))
    async with AsyncClient(ADDRESS, transport=transport) as client:
        assert await client.models() == []
        assert repr(client) == f"AsyncClient('{ADDRESS}')"
    assert replies == []


def test_redirects_are_followed_with_the_body() -> None:
    moved = httpx.Response(308, headers={"location": f"{ADDRESS}/moved"})
    client, requests = answering(moved, httpx.Response(200, json=REPORT))
    client.evaluate(io.BytesIO(b"samples"), "real-test")
    assert [request.url.path for request in requests] == ["/evaluate", "/moved"]
    assert requests[1].content == requests[0].content


def test_a_token_and_headers_go_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(**named: Any) -> httpx.Headers:
        client, requests = answering(httpx.Response(200, json={"models": []}), **named)
        client.models()
        return requests[0].headers

    assert "authorization" not in sent()
    assert sent(token="a key")["authorization"] == "Bearer a key"
    monkeypatch.setenv("CHAPTERHOUSE_TOKEN", "of the environment")
    assert sent()["authorization"] == "Bearer of the environment"
    assert "authorization" not in sent(token="")
    headers = sent(headers={"x-request-id": "mine"})
    assert (headers["x-request-id"], headers["user-agent"]) == ("mine", f"chapterhouse/{__version__}")


def test_a_token_is_not_told_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_TOKEN", "a secret")
    assert "a secret" not in repr(Settings())


def test_a_query_names_what_was_asked_for_and_nothing_else() -> None:
    reply = httpx.Response(200, content=b"png", headers={"x-model": "m", "x-model-version": "v"})
    client, requests = answering(
        reply, reply, httpx.Response(200, json={"model": "m", "version": "v", "predictions": []})
    )
    client.explain(b"image", label=0, as_is=True)
    client.explain(method="filters", layer="conv1", unit=0)
    with pytest.raises(ServiceError, match="is it a Chapterhouse"):
        client.classify([b"image"], as_is=True)
    assert [str(request.url.query, "ascii") for request in requests] == [
        "method=saliency&label=0&as_is=true",
        "method=filters&layer=conv1&unit=0",
        "top_k=5&as_is=true",
    ]


def test_an_address_may_have_a_prefix() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"models": []})

    Client(f"{ADDRESS}/behind/a/proxy/", transport=httpx.MockTransport(answer)).models()
    assert str(requests[0].url) == f"{ADDRESS}/behind/a/proxy/models"


def events(*told: tuple[str, str, dict[str, Any]]) -> httpx.Response:
    """A stream of these events, the last of which may be cut short."""
    texts = [
        f"id: {place}\nevent: {kind}\ndata: {json.dumps(state)}\n{end}" for place, (kind, end, state) in enumerate(told)
    ]
    return httpx.Response(200, text="retry: 1000\n\n: still there\n\n" + "".join(texts))


@pytest.mark.usefixtures("impatient")
def test_an_evaluation_is_followed_through_a_restart_of_the_service() -> None:
    half, over = {**STATE, "progress": 0.5}, {**STATE, "status": "finished", "progress": 1.0}
    client, requests = answering(
        events(("progress", "\n", half), ("progress", "", over)),
        httpx.ConnectError("refused"),
        events(("end", "\n", over)),
    )
    assert [state.progress for state in client.follow("e1")] == [0.5, 1.0]
    assert [request.headers.get("last-event-id") for request in requests] == [None, "0", "0"]
    client, _ = answering(httpx.Response(204))
    assert list(client.follow("e1")) == []


def test_who_stops_following_lets_go_of_the_stream() -> None:
    client, _ = answering(events(("progress", "\n", STATE), ("end", "\n", STATE)))
    following = client.follow("e1")
    assert next(following).progress == 0.5
    following.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("impatient")
def test_a_reference_that_takes_long_is_waited_for() -> None:
    kept = {"name": "mine", "dataset": "x", "extractor": "echo", "weights_sha256": "0", "count": 2, "dim": 4}
    client, requests = answering(
        httpx.Response(202, json={**STATE, "kind": "reference"}),
        httpx.Response(200, json={**STATE, "kind": "reference"}),
        httpx.Response(200, json={**STATE, "kind": "reference", "status": "finished"}),
        httpx.Response(200, json={**kept, "sha256": "1", "shipped": False}),
    )
    heard: list[float] = []
    assert client.put_reference("mine", io.BytesIO(b"x"), on_progress=heard.append).name == "mine"
    assert [request.url.path for request in requests] == [
        "/references/mine",
        *["/evaluations/e1"] * 2,
        "/references/mine",
    ]
    assert (requests[0].method, heard) == ("PUT", [0.5])
    assert b'name="name"' not in requests[0].content


def test_a_coroutine_that_waits_for_a_loop_is_no_call_that_ends_at_once() -> None:
    with pytest.raises(RuntimeError, match="waits for something"):
        at_once(asyncio.sleep(0))


def test_a_service_that_warms_up_is_not_ready() -> None:
    client, requests = answering(
        httpx.Response(503, headers={"retry-after": "0"}, json=NotReady("Not warm yet: echo.").problem())
    )
    assert not client.ready()
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (httpx.ConnectError("refused"), "cannot be reached: refused"),
        (httpx.ReadTimeout("late"), "does not answer"),
        (httpx.RemoteProtocolError("peer closed connection"), "broke off: peer closed"),
    ],
)
def test_a_service_that_is_away_is_said_with_its_address(failure: httpx.TransportError, words: str) -> None:
    client, _ = answering(failure)
    with pytest.raises(ServiceUnreachable, match=f"{ADDRESS} {words}"):
        client.ready()


@pytest.mark.parametrize("address", ["http://127.0.0.1:{}", "127.0.0.1", "http://[", "http://127.0.0.1:many"])
def test_an_address_where_nobody_answers_is_said(address: str, silent_port: int) -> None:
    with pytest.raises(ServiceUnreachable):
        Client(address.format(silent_port)).ready()


def test_a_proxy_is_not_asked_for_this_machine(
    service_settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{silent_port}")
    with running_service(service_settings) as address, Client(address) as client:
        assert client.ready()


def test_the_request_says_everything_in_fields_of_a_form() -> None:
    client, requests = answering(httpx.Response(200, json=REPORT))
    report = client.evaluate(
        io.BytesIO(b"samples"),
        "real-test",
        metrics=("fid", "mmd"),
        options={"mmd": {"sigma": 10, "kernel": "gaussian"}},
        skip_unreadable=True,
        wait_s=1,
    )
    assert isinstance(report, Report)
    [sent] = requests
    assert sent.headers["prefer"] == "wait=1"
    text = sent.content.decode()
    for name, value in {
        "reference_name": "real-test",
        "metrics": "fid,mmd",
        "mmd.sigma": "10",
        "mmd.kernel": "gaussian",
        "seed": "0",
        "skip_unreadable": "True",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n' in text
    for absent in ("thresholds", "features", "options"):
        assert f'name="{absent}"' not in text


@pytest.mark.usefixtures("impatient")
def test_waiting_tells_the_progress_and_survives_a_restart_of_the_service() -> None:
    client, requests = answering(
        httpx.Response(202, json={**STATE, "status": "queued", "progress": 0.0}),
        httpx.Response(200, json=STATE),
        httpx.ConnectError("refused"),
        httpx.Response(200, json={**STATE, "progress": 0.75}),
        httpx.Response(200, json=REPORT),
    )
    heard: list[float] = []
    report = client.evaluate(io.BytesIO(b"samples"), "real-test", on_progress=heard.append)
    assert report.id == "e1"
    assert heard == [0.5, 0.75]
    assert [request.url.path for request in requests] == ["/evaluate", *["/evaluations/e1"] * 4]


@pytest.mark.usefixtures("impatient")
def test_a_service_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "RESTART_S", 0.0)
    client, _ = answering(httpx.Response(202, json=STATE), httpx.ConnectError("refused"))
    with pytest.raises(ServiceUnreachable, match="refused"):
        client.evaluate(io.BytesIO(b"samples"), "real-test")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("end", "error", "words"),
    [
        ({"status": "failed", "problem": UnreadableArchive("cut short").problem()}, UnreadableArchive, "cut short"),
        ({"status": "cancelled"}, ServiceError, "e1 was cancelled"),
    ],
)
def test_an_evaluation_that_comes_to_nothing_is_an_error(
    end: dict[str, Any], error: type[ServiceError], words: str
) -> None:
    client, _ = answering(httpx.Response(202, json=STATE), httpx.Response(200, json={**STATE, **end}))
    with pytest.raises(error, match=words):
        client.evaluate(io.BytesIO(b"samples"), "real-test")
