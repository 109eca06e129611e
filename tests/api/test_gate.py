import asyncio
from collections.abc import Callable

import httpx
import pytest
from api.asking import Caller, assert_problem, connect
from doubles import FakeEngine, Unanswering, echoed, images
from waiting import eventually

from service.api.gate import Application
from service.imaging import encode_png

pytestmark = pytest.mark.usefixtures("both_ways")

MakeApp = Callable[..., Application]
PICTURE = encode_png(images(1)[0])
PATHS = [
    ("POST", "/classify"),
    ("GET", "/classify"),
    ("POST", "/generate"),
    ("GET", "/models"),
    ("GET", "/models/nobody"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
    ("GET", "/openapi.json"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_answer_bears_its_requests_id(client: httpx.AsyncClient, method: str, path: str) -> None:
    given = await client.request(method, path, headers={"x-request-id": "mine-1"})
    assert given.headers.get_list("x-request-id") == ["mine-1"]
    made = [(await client.request(method, path)).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(made)


async def test_an_id_is_cut_where_it_is_too_long_and_kept_as_it_is_where_it_is_odd(client: httpx.AsyncClient) -> None:
    long = await client.get("/health/live", headers={"x-request-id": "x" * 5000})
    assert long.headers["x-request-id"] == "x" * 128
    odd = await client.get("/health/live", headers=[(b"x-request-id", "ü".encode("latin-1"))])
    assert (b"x-request-id", "ü".encode("latin-1")) in odd.headers.raw


async def test_a_failure_has_an_id_too(make_app: MakeApp) -> None:
    engine = FakeEngine()
    app = make_app(engine)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret path")

    async with connect(app) as client:
        reply = await client.get("/broken", headers={"x-request-id": "r1"})
    assert_problem(reply, 500, "logged under this request's X-Request-Id")
    assert reply.headers["x-request-id"] == "r1"
    assert "secret" not in reply.text


@pytest.mark.parametrize("path", ["/classify", "/evaluate", "/generate", "/forecast", "/explain"])
async def test_a_body_that_is_packed_is_refused_and_not_taken_for_what_it_is_not(
    client: httpx.AsyncClient, path: str
) -> None:
    reply = await client.post(path, content=PICTURE, headers={"content-type": "image/png", "content-encoding": "gzip"})
    assert_problem(reply, 415, "coding gzip")
    plain = {"content-type": "image/png", "content-encoding": "Identity"}
    assert (await client.post("/classify", content=PICTURE, headers=plain)).status_code == 200


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/classify?model=", None),
        ("/explain?model=&method=saliency", None),
        ("/generate", {"model": "", "count": 1}),
        ("/forecast", {"model": "", "series": [1.0, 2.0, 3.0], "horizon": 1}),
    ],
)
async def test_a_name_that_is_empty_is_no_models_and_not_the_default_ones(
    client: httpx.AsyncClient, path: str, document: dict[str, object] | None
) -> None:
    given = {"content": PICTURE, "headers": {"content-type": "image/png"}} if document is None else {"json": document}
    assert (await client.post(path, **given)).status_code in (404, 422)


async def test_a_service_that_shuts_down_takes_no_new_work_and_closes_connections(make_app: MakeApp) -> None:
    engine = FakeEngine([echoed(1)])
    app = make_app(engine)
    app.gate.draining = True
    async with connect(app) as client:
        for path in ("/classify", "/generate", "/models/echo/load"):
            reply = await client.post(path, content=PICTURE)
            assert_problem(reply, 503, "shutting down; send the request to another one")
            assert reply.headers["connection"] == "close"
            assert int(reply.headers["retry-after"]) >= 1
        listed = await client.get("/models")
        assert (listed.status_code, listed.headers["connection"]) == (200, "close")
    assert engine.calls == []
    assert b'chapterhouse_rejected_total{reason="draining"} 3.0' in app.gate.instruments.exposition(None)


async def test_what_is_inside_when_the_gate_closes_is_answered(make_app: MakeApp) -> None:
    engine = Unanswering()
    app = make_app(engine)
    caller = Caller([PICTURE])
    asking = asyncio.create_task(caller.ask(app, "POST", "/classify"))
    await engine.asked.wait()
    app.gate.draining = True
    assert app.gate.open == 1
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert app.gate.open == 0


async def test_a_front_with_too_much_open_refuses_work_and_still_tells_about_itself(make_app: MakeApp) -> None:
    engine = Unanswering()
    app = make_app(engine, queue_limit=3)
    asking = [asyncio.create_task(Caller([PICTURE]).ask(app, "POST", "/classify")) for _ in range(3)]
    await eventually(lambda: app.gate.open == 3)  # the gate counts, and tells nobody
    async with connect(app) as client:
        refused = await client.post("/classify", content=PICTURE)
        assert_problem(refused, 429, "3 requests are open here")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert app.gate.open == 0


async def test_questions_that_stay_open_take_no_room_from_work(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), queue_limit=1)
    app.gate.open = 5
    async with connect(app) as client:
        assert (await client.post("/classify", content=PICTURE)).status_code == 200
