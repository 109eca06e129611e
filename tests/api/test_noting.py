"""The line of a request in the log: when there is one, what it holds, and what it never holds."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from api.asking import connect
from doubles import FakeEngine, echoed, images

from service.api import noting
from service.api.gate import Application
from service.errors import EngineUnavailable, LimitReached, Overloaded
from service.imaging import encode_png
from service.telemetry.logs import Allowance, AsJson

pytestmark = pytest.mark.usefixtures("both_ways")

MakeApp = Callable[..., Application]
PNG = {"content-type": "image/png"}
PICTURE = encode_png(images(1)[0])


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """What has been noted, as JSON would have it."""

    def read() -> list[dict[str, Any]]:
        form = AsJson("front")
        return [json.loads(form.format(record)) for record in caplog.records if record.name == noting.__name__]

    return read


Lines = Callable[[], list[dict[str, Any]]]


async def classify(app: Application, **headers: str) -> httpx.Response:
    async with connect(app) as client:
        return await client.post("/classify?model=echo", content=PICTURE, headers={**PNG, **headers})


async def test_what_is_answered_well_and_soon_has_no_line(make_app: MakeApp, lines: Lines) -> None:
    assert (await classify(make_app(FakeEngine([echoed(1)]), slow_request_s=60.0))).status_code == 200
    assert lines() == []


async def test_every_request_has_a_line_where_that_is_wanted(make_app: MakeApp, lines: Lines) -> None:
    app = make_app(FakeEngine([echoed(1)]), log_requests="all", slow_request_s=60.0)
    reply = await classify(app, **{"x-request-id": "build-4711"})
    [line] = lines()
    assert line["message"] == "POST /classify answered"
    assert (line["request"], line["status"], line["model"]) == ("build-4711", 200, "echo")
    assert (line["bytes_in"], line["bytes_out"]) == (len(PICTURE), len(reply.content))
    assert line["ms"] >= line["receive_ms"] + line["answer_ms"] + line["send_ms"] - 0.3
    assert line["caller"] == "local"  # these clients bear this machine's token
    assert "error" not in line


async def test_a_streamed_answer_is_counted_to_its_last_byte(make_app: MakeApp, lines: Lines) -> None:
    app = make_app(FakeEngine([echoed(1)]), log_requests="all", slow_request_s=60.0)
    async with connect(app) as client:
        reply = await client.get("/openapi.json")
    [line] = lines()
    assert (line["message"], line["bytes_out"]) == ("GET /openapi.json answered", len(reply.content))


async def test_a_slow_request_is_told_and_one_that_waits_for_an_evaluation_is_not_slow(
    make_app: MakeApp, lines: Lines
) -> None:
    app = make_app(FakeEngine([echoed(1)]), slow_request_s=1e-9)
    await classify(app)
    [line] = lines()
    assert (line["message"], line["level"]) == ("POST /classify was slow", "warning")
    assert {"/evaluate"} < noting.WAITED_FOR


async def test_a_failure_of_the_service_says_what_an_operator_can_do(make_app: MakeApp, lines: Lines) -> None:
    await classify(make_app(FakeEngine(EngineUnavailable("No engine answers."))))
    [line] = lines()
    assert (line["message"], line["level"], line["status"]) == ("POST /classify failed", "warning", 503)
    assert line["error"] == "EngineUnavailable: No engine answers."
    assert "supervisor" in line["advice"]


@pytest.mark.parametrize("path", ["/classify", "/explain"])
async def test_a_fault_of_ours_is_told_once_with_the_id_of_its_request(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    app = make_app(FakeEngine(RuntimeError("a fault")))
    async with connect(app, raise_app_exceptions=True) as client:
        reply = await client.post(path, content=PICTURE, headers={**PNG, "x-request-id": "build-4711"})
    assert reply.status_code == 500
    [told] = [record for record in caplog.records if record.exc_info]
    assert "a fault" in AsJson("front").format(told)
    assert json.loads(AsJson("front").format(told))["request"] == "build-4711"


async def test_what_a_route_of_the_framework_refuses_has_its_error_too(make_app: MakeApp, lines: Lines) -> None:
    async with connect(make_app(FakeEngine())) as client:
        await client.post("/generate", json={"count": 0})
    [line] = lines()
    assert (line["message"], line["level"], line["status"]) == ("POST /generate failed", "info", 422)
    assert line["error"].startswith("InvalidRequest: count")
    assert "advice" not in line


@pytest.mark.parametrize("both_ways", ["bare"], indirect=True)  # the server below lets no such id in
async def test_nothing_secret_and_nothing_of_several_lines_is_told(make_app: MakeApp, lines: Lines) -> None:
    app = make_app(FakeEngine([echoed(1)]), log_requests="all")
    headers = {"authorization": "Bearer swordfish", "x-request-id": "a\x1b[31mb", "cookie": "swordfish"}
    async with connect(app) as client:
        await client.post("/classify?model=echo&token=swordfish", content=PICTURE, headers={**PNG, **headers})
        await client.get("/models/swordfish", headers=headers)
    told = json.dumps([line for line in lines() if line["status"] != 404])
    assert "swordfish" not in told.replace("has no parameter token", "")
    assert "\\\\x1b[31m" in told


async def test_whoever_fails_again_and_again_does_not_fill_the_log(make_app: MakeApp, lines: Lines) -> None:
    app = make_app(FakeEngine(), slow_request_s=60.0)
    app.gate.noting.lines.allowance = Allowance(3, 0)
    async with connect(app) as client:
        for _ in range(5):
            await client.post("/classify?model=echo", content=b"none", headers=PNG)
    assert len(lines()) == 3


@pytest.mark.parametrize("path", ["/health/ready", "/v2/health/ready", "/v2/models/doodle/ready"])
async def test_an_orchestrator_that_asks_whether_it_is_ready_fills_nothing_either(
    make_app: MakeApp, lines: Lines, path: str
) -> None:
    app = make_app(FakeEngine())
    async with connect(app) as client:
        assert (await client.get(path)).status_code == 503
    assert lines() == []
    assert "NotReady" not in app.gate.instruments.exposition(None).decode()


async def test_what_such_a_probe_meets_beside_a_no_has_its_line(make_app: MakeApp, lines: Lines) -> None:
    async with connect(make_app(FakeEngine())) as client:
        await client.get("/v2/models/nobody/ready")
    assert [line["message"] for line in lines()] == ["GET /v2/models/{model_name}/ready failed"]


async def test_what_is_refused_at_the_door_is_told_and_counted_by_its_route(make_app: MakeApp, lines: Lines) -> None:
    app = make_app(FakeEngine())
    async with connect(app, bears=False) as client:
        assert (await client.post("/models/doodle/load")).status_code == 401
    assert [line["message"] for line in lines()] == ["POST /models/{model_id}/load failed"]
    counted = app.gate.instruments.registry.get_sample_value
    assert counted("chapterhouse_requests_total", {"endpoint": "/models/{model_id}/load", "code": "401"}) == 1


GONE = EngineUnavailable("No engine answers.")
PIXELS = {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 1], "data": [0, 0, 0, 0]}]}


@pytest.mark.parametrize(
    ("path", "sent", "model"),
    [
        ("/classify?model=echo", {"content": PICTURE, "headers": PNG}, "echo"),
        ("/explain?model=echo", {"content": PICTURE, "headers": PNG}, "echo"),
        ("/generate", {"json": {"model": "doodle", "count": 1}}, "doodle"),
        ("/v2/models/echo/infer", {"json": PIXELS}, "echo"),
    ],
)
async def test_a_failure_names_the_model_that_was_asked(
    make_app: MakeApp, lines: Lines, path: str, sent: dict[str, Any], model: str
) -> None:
    async with connect(make_app(FakeEngine(GONE))) as client:
        assert (await client.post(path, **sent)).status_code == 503
    assert [line["model"] for line in lines()] == [model]


async def test_the_bytes_of_a_body_of_unknown_length_are_counted_as_they_come(make_app: MakeApp, lines: Lines) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield PICTURE[:9]
        yield PICTURE[9:]

    async with connect(make_app(FakeEngine([echoed(1)]), log_requests="all")) as client:
        await client.post("/classify?model=echo", content=pieces(), headers=PNG)
    assert [line["bytes_in"] for line in lines()] == [len(PICTURE)]


@pytest.mark.parametrize("kind", [Overloaded, LimitReached])
async def test_a_refusal_is_counted_by_its_reason_and_the_class_of_who_was_refused(
    make_app: MakeApp, kind: type[Overloaded]
) -> None:
    app = make_app(FakeEngine(kind("No more.")))
    await classify(app)
    await classify(app, authorization="")
    counted = app.gate.instruments.registry.get_sample_value
    for client in ("anybody", "local"):
        assert counted("chapterhouse_refusals_total", {"reason": kind.__name__, "client": client}) == 1


def test_lines_are_written_however_little_else_is_logged() -> None:
    assert noting.log.isEnabledFor(logging.INFO)
