import io
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from doubles import images, likely
from evaluation.packing import digits, npz, pngs, zipped
from running import running_service

from service import client as client_module
from service.client import Client, error_from
from service.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    NotReady,
    Overloaded,
    ServiceError,
    ServiceUnreachable,
    UnreadableArchive,
    WrongTask,
    error_types,
)
from service.evaluation.report.schema import Report
from service.imaging import encode_png
from service.schemas import EvaluationRequest, EvaluationState, GenerateRequest
from service.settings import Settings

Answer = Callable[[httpx.Request], httpx.Response]
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


def client_of(answer: Answer) -> Client:
    return Client(ADDRESS, transport=httpx.MockTransport(answer))


def answering(*replies: httpx.Response | httpx.TransportError) -> tuple[Client, list[httpx.Request]]:
    """A client of a service that gives these replies, and the requests it gets."""
    waiting, requests = list(replies), []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        reply = waiting.pop(0)
        if isinstance(reply, httpx.TransportError):
            raise reply
        return reply

    return client_of(answer), requests


@pytest.fixture
def client(service_settings: Settings) -> Iterator[Client]:
    with running_service(service_settings) as address, Client(address) as client:
        yield client


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return npz(tmp_path / "made.npz", {"images": digits(20, seed=2, size=2)})


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(digits(24, seed=1, size=2)))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "POLL_S", 0.001)


def test_a_running_service_is_ready_and_names_its_models(client: Client) -> None:
    assert client.ready()
    held = {model.id: model.loaded for model in client.models()}
    assert held["echo"]
    assert not held["slow"]
    assert client.model("doodle").net == "doodle"


def test_images_are_classified_in_order_from_paths_and_from_bytes(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "bild für dich.png"
    path.write_bytes(encode_png(images(200)[0]))
    answer = client.classify([path, b"no image", encode_png(images(90)[0])], model="echo", top_k=1)
    first, second, third = answer.predictions
    assert (first.name, second.name, third.name) == (str(path), None, None)
    assert first.labels[0].probability == pytest.approx(float(likely(200)[0, 0]), rel=1e-5)
    assert third.labels[0].probability == pytest.approx(float(likely(90)[0, 0]), rel=1e-5)
    assert second.labels == ()
    assert second.error is not None
    assert second.error["status"] == 422


def test_more_images_than_fit_into_one_request_are_sent_in_several(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [encode_png(images(10 * place)[0]) for place in range(12)]
    whole = client.classify(files)
    monkeypatch.setattr(client_module, "FORM_IMAGES", 5)
    assert client.classify(files) == whole
    monkeypatch.setattr(client_module, "FORM_BYTES", 100)
    assert client.classify(files) == whole


def test_generated_images_stream_into_a_file(client: Client) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    drawn = client.generate(GenerateRequest(count=9, format="npz"), first)
    again = client.generate(GenerateRequest(model=drawn.model, count=9, seed=drawn.seed, format="npz"), second)
    assert drawn == again
    assert first.getvalue() == second.getvalue()
    with np.load(io.BytesIO(first.getvalue())) as arrays:
        assert arrays["images"].shape == (9, 2, 2, 1)


def test_samples_are_evaluated_from_paths_and_from_open_files(client: Client, made: Path, real: Path) -> None:
    request = EvaluationRequest(metrics=("fid", "mmd"), options={"mmd": {"sigma": "0.5"}}, thresholds="fid<=0", seed=3)
    report = client.evaluate(made, request, reference=real)
    with made.open("rb") as generated, real.open("rb") as reference:
        again = client.evaluate(generated, request, reference=reference)
    assert report.metrics == again.metrics
    assert (report.metrics["mmd"].number("sigma"), report.seed) == (0.5, 3)
    assert report.verdict is not None
    assert not report.verdict.passed
    assert client.evaluation(report.id) == report


def test_an_evaluation_that_takes_long_goes_on_without_its_caller(
    service_settings: Settings, made: Path, real: Path
) -> None:
    with running_service(service_settings, evaluating=False) as address, Client(address) as client:
        with pytest.raises(DeadlineExceeded, match=f"GET {address}/evaluations/") as ended:
            client.evaluate(made, EvaluationRequest(), reference=real, wait_s=0)
        evaluation_id = str(ended.value).partition("/evaluations/")[2].split()[0]
        state = client.evaluation(evaluation_id)
        assert isinstance(state, EvaluationState)
        assert state.status == "queued"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda client: client.model("no/body"), ServiceError, "Not Found"),
        (lambda client: client.model("nobody"), ModelNotFound, "'nobody'"),
        (lambda client: client.classify([b""], model="nobody"), ModelNotFound, "'nobody'"),
        (lambda client: client.classify([b""], model="doodle"), WrongTask, "doodle does generate"),
        (lambda client: client.classify([b""], top_k=0), InvalidRequest, "top_k"),
        (lambda client: client.classify([]), InvalidRequest, "no image"),
        (lambda client: client.generate(GenerateRequest(count=5000), io.BytesIO()), InvalidRequest, "at most 1,024"),
        (lambda client: client.evaluation("nobody"), ServiceError, "nobody"),
        (lambda client: client.evaluate(io.BytesIO(b"x"), EvaluationRequest()), InvalidRequest, "reference"),
    ],
)
def test_refusals_are_the_services_own_errors(
    call: Callable[[Client], object], error: type[ServiceError], words: str, client: Client
) -> None:
    with pytest.raises(error, match=words):
        call(client)


def test_what_ends_an_evaluation_is_raised(client: Client, real: Path) -> None:
    with pytest.raises(UnreadableArchive, match="not a zip"):
        client.evaluate(io.BytesIO(b"no archive"), EvaluationRequest(), reference=real)


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
        (httpx.Response(301, headers={"location": "https://elsewhere"}), "answered 301"),
        (httpx.Response(200, html="<h1>Welcome</h1>"), "is it a Chapterhouse"),
        (httpx.Response(200, json={"status": "finished"}), "cannot read"),
        (httpx.Response(200, json=[1]), "is it a Chapterhouse"),
    ],
)
def test_what_no_chapterhouse_wrote_is_a_clear_error(reply: httpx.Response, words: str) -> None:
    client, _ = answering(reply)
    with pytest.raises(ServiceError, match=words):
        client.evaluation("e1")


def test_retry_after_is_told() -> None:
    client, _ = answering(httpx.Response(429, json=Overloaded("full").problem(), headers={"retry-after": "7"}))
    with pytest.raises(Overloaded, match="full") as refused:
        client.models()
    assert refused.value.retry_after_s == 7


def test_a_service_that_warms_up_is_not_ready() -> None:
    client, _ = answering(httpx.Response(503, json=NotReady("Not warm yet: echo.").problem()))
    assert not client.ready()


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
    request = EvaluationRequest(
        reference_name="real-test",
        metrics=("fid", "mmd"),
        options={"mmd": {"sigma": "10", "kernel": "gaussian"}},
        skip_unreadable=True,
    )
    assert isinstance(client.evaluate(io.BytesIO(b"samples"), request, wait_s=1), Report)
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
    report = client.evaluate(io.BytesIO(b"samples"), EvaluationRequest(), on_progress=heard.append)
    assert report.id == "e1"
    assert heard == [0.5, 0.75]
    assert [request.url.path for request in requests] == ["/evaluate", *["/evaluations/e1"] * 4]


@pytest.mark.usefixtures("impatient")
def test_a_service_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RESTART_S", 0.0)
    client, _ = answering(httpx.Response(202, json=STATE), httpx.ConnectError("refused"))
    with pytest.raises(ServiceUnreachable, match="refused"):
        client.evaluate(io.BytesIO(b"samples"), EvaluationRequest())


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
        client.evaluate(io.BytesIO(b"samples"), EvaluationRequest())
