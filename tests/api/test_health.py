from collections.abc import Callable

import httpx
import pytest
from api.asking import assert_problem, connect
from doubles import FakeEngine

from service.api.gate import Application
from service.runtime.calls import SET_ASIDE, LoadedModel

MakeApp = Callable[..., Application]
READY = LoadedModel("1", "ready", "cpu")
LOADING = LoadedModel("1", "loading", "cpu")
ASIDE = LoadedModel("1", SET_ASIDE, "cpu")


async def test_a_front_that_answers_is_alive(client: httpx.AsyncClient) -> None:
    reply = await client.get("/health/live")
    assert (reply.status_code, reply.json()) == (200, {"status": "live"})


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ({}, "echo, doodle"),
        ({"echo": READY}, "doodle"),
        ({"echo": LOADING, "doodle": READY}, "echo"),
        ({"echo": READY, "doodle": READY}, None),
        ({"echo": READY, "doodle": READY, "slow": LOADING}, None),
    ],
)
async def test_ready_means_that_every_wanted_model_is_warm(
    make_app: MakeApp, held: dict[str, LoadedModel], missing: str | None
) -> None:
    async with connect(make_app(FakeEngine(held=held))) as client:
        reply = await client.get("/health/ready")
    if missing is None:
        ready = {"status": "ready", "models": ["doodle", "echo"], "impaired": []}
        assert (reply.status_code, reply.json()) == (200, ready)
    else:
        assert_problem(reply, 503, f"Not warm yet: {missing}.")
        assert reply.headers["retry-after"] == "2"


async def test_a_model_that_is_set_aside_is_named_and_the_service_ready_without_it(make_app: MakeApp) -> None:
    async with connect(make_app(FakeEngine(held={"echo": ASIDE, "doodle": READY}))) as client:
        reply = await client.get("/health/ready")
        metrics = await client.get("/metrics")
    impaired = ["echo is set aside: an engine hung in it"]
    assert (reply.status_code, reply.json()) == (200, {"status": "ready", "models": ["doodle"], "impaired": impaired})
    assert "chapterhouse_ready 1.0" in metrics.text.splitlines()


async def test_a_service_that_shuts_down_is_alive_and_not_ready(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(held={"echo": READY, "doodle": READY}))
    app.gate.draining = True
    async with connect(app) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert_problem(await client.get("/health/ready"), 503, "shutting down")
        assert (await client.get("/metrics")).status_code == 200


async def test_metrics_count_requests_by_route_and_status(client: httpx.AsyncClient) -> None:
    await client.get("/models/echo")
    await client.get("/models/nobody")
    await client.get("/nowhere/4711")
    await client.post("/classify", content=b"")
    reply = await client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    for line in (
        'chapterhouse_requests_total{code="200",endpoint="/models/{model_id}"} 1.0',
        'chapterhouse_requests_total{code="404",endpoint="/models/{model_id}"} 1.0',
        'chapterhouse_requests_total{code="404",endpoint="unmatched"} 1.0',
        'chapterhouse_requests_total{code="422",endpoint="/classify"} 1.0',
        'chapterhouse_request_seconds_count{endpoint="/classify"} 1.0',
    ):
        assert line in reply.text
