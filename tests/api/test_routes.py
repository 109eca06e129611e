"""What holds for every route: parameters, kinds of answer and deadlines, whatever its function does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from api.asking import Caller, assert_problem, connect
from api.describing import document_of, operations
from api.v2.speaking import assert_refused
from doubles import FakeEngine, Unanswering, images

from service.api.app import ROUTERS
from service.api.gate import Application
from service.imaging import encode_png

MakeApp = Callable[..., Application]
PICTURE = encode_png(images(1)[0])
PAGES = ("/docs", "/redoc", "/openapi.json")
ROUTES = sorted(
    (method, route.path)  # type: ignore[attr-defined]
    for router in ROUTERS
    for route in router.routes
    for method in route.methods  # type: ignore[attr-defined]
)
every_route = pytest.mark.parametrize(("method", "path"), ROUTES)


def filled(path: str) -> str:
    """A path with something in the place of its parameters."""
    return re.sub(r"{\w+}", "echo", path)


def refused(path: str, reply: httpx.Response, status: int, detail: str) -> dict[str, Any]:
    """What a refusal says, in the form of its path; what is 422 elsewhere is 400 below `/v2`."""
    if path.startswith("/v2"):
        assert_refused(reply, 400 if status == 422 else status, detail)
        return {"detail": reply.json()["error"]}
    assert_problem(reply, status, detail)
    document: dict[str, Any] = reply.json()
    return document


@every_route
async def test_a_parameter_that_it_does_not_know_is_named(app: Application, method: str, path: str) -> None:
    verbs = document_of(app)["paths"].get(path, {}).get(method.lower(), {"parameters": []})
    known = [parameter["name"] for parameter in verbs["parameters"] if parameter.get("in") == "query"]
    async with connect(app) as client:
        reply = await client.request(method, f"{filled(path)}?modle=echo&x=")
    problem = refused(path, reply, 422, f"{path} has no parameter modle and x; it has ")
    assert all(name in problem["detail"] for name in known or ["none"])
    assert [error["field"] for error in problem.get("errors", [])] == ([] if path.startswith("/v2") else ["modle", "x"])


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET"])
async def test_head_says_what_get_would_and_sends_nothing(client: httpx.AsyncClient, path: str) -> None:
    asked, head = await client.get(filled(path)), await client.head(filled(path))
    assert head.status_code == asked.status_code
    assert head.content == b""
    assert head.headers.keys() == asked.headers.keys()
    assert head.headers.get("content-type") == asked.headers.get("content-type")


async def test_where_there_is_no_get_there_is_no_head(client: httpx.AsyncClient) -> None:
    assert (await client.head("/generate")).status_code == 405


async def test_a_parameter_is_given_once(app: Application) -> None:
    single = [
        (method, path, parameter["name"])
        for path, method, operation in operations(document_of(app))
        for parameter in operation["parameters"]
        if parameter.get("in") == "query" and "array" not in str(parameter["schema"])
    ]
    assert len(single) >= 9
    async with connect(app) as client:
        for method, path, name in single:
            reply = await client.request(method, f"{filled(path)}?{name}=1&{name}=1")
            assert_problem(reply, 422, f"{name} can be given only once.")
            assert reply.json()["errors"] == [{"field": name, "message": "can be given only once"}]


async def test_a_list_is_given_word_by_word(client: httpx.AsyncClient) -> None:
    await client.get("/models")
    names = "name[]=chapterhouse_requests_total&name[]=chapterhouse_open_requests"
    text = (await client.get(f"/metrics?{names}")).text
    shown = {line.partition("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    assert shown == {"chapterhouse_requests_total", "chapterhouse_open_requests"}
    assert (await client.get("/metrics?name[]=nothing")).text == ""


async def test_a_refusal_repeats_no_more_of_a_name_than_tells_it(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"/models?{'x' * 5000}=1")
    assert_problem(reply, 422)
    assert reply.json()["errors"][0]["field"] == "x" * 100


@every_route
async def test_a_kind_of_answer_that_it_does_not_write_is_406(app: Application, method: str, path: str) -> None:
    operation = document_of(app)["paths"].get(path, {}).get(method.lower())
    answers = operation["responses"] if operation else {"200": {"content": {}}}
    offered = [kind for status, answer in answers.items() if status < "300" for kind in answer.get("content", {})]
    async with connect(app) as client:
        reply = await client.request(method, filled(path), headers={"accept": "model/vrml"})
    if offered or path in PAGES:
        problem = refused(path, reply, 406, "Nothing that `Accept: model/vrml` takes is written here")
        assert all(kind in problem["detail"] for kind in offered)
    else:
        assert reply.status_code != 406


@pytest.mark.parametrize("accept", [None, "*/*", "text/html, */*;q=0.1", "application/*;q=0.5"])
async def test_whoever_takes_anything_gets_the_usual_kind(client: httpx.AsyncClient, accept: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    for path in ("/models", "/models/echo", "/evaluations", "/references", "/health/live"):
        reply = await client.get(path, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("value", ["soon", "-5", "0", "nan", "1e99"])
async def test_a_deadline_is_a_number_everywhere(client: httpx.AsyncClient, value: str) -> None:
    for method, path in ROUTES:
        reply = await client.request(method, filled(path), headers={"x-deadline-ms": value})
        refused(path, reply, 422, "X-Deadline-Ms must be a positive number")


class Loading(FakeEngine):
    """Loads for ever."""

    async def load(self, model_id: str) -> None:  # noqa: ARG002 - none comes
        """Wait."""
        await asyncio.Event().wait()


async def test_loading_that_takes_too_long_is_504(make_app: MakeApp) -> None:
    async with connect(make_app(Loading())) as client:
        reply = await client.post("/models/echo/load", headers={"x-deadline-ms": "20"})
    assert_problem(reply, 504, "The deadline passed before there was an answer")


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/classify", {"content": PICTURE}), ("/generate", {"json": {"seed": 1}}), ("/explain", {"content": PICTURE})],
)
async def test_work_that_takes_too_long_is_504_and_taken_out(
    make_app: MakeApp, path: str, asked: dict[str, object]
) -> None:
    engine = Unanswering()
    async with connect(make_app(engine)) as client:
        reply = await client.post(path, **asked, headers={"x-deadline-ms": "400"})  # type: ignore[arg-type]
    assert_problem(reply, 504)
    assert engine.dropped.is_set() == engine.asked.is_set()  # on a slow machine it may pass before that


@pytest.mark.parametrize("path", ["/classify", "/explain", "/generate"])
async def test_a_body_that_does_not_come_in_time_is_504(app: Application, path: str) -> None:
    caller = Caller([b"half a picture"], ends=False)
    await caller.ask(app, "POST", path, {"x-deadline-ms": "20"})
    assert caller.sent[0]["status"] == 504


@pytest.fixture
async def silent(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service without a model that answers."""
    async with connect(make_app(FakeEngine())) as client:
        yield client


async def test_what_answers_in_time_is_not_disturbed(silent: httpx.AsyncClient) -> None:
    for path in ("/models", "/health/live", "/evaluations", "/metrics", *PAGES):
        assert (await silent.get(path, headers={"x-deadline-ms": "60000"})).status_code == 200


async def test_a_timeout_of_something_else_is_no_deadline(make_app: MakeApp) -> None:
    async with connect(make_app(FakeEngine(TimeoutError("a disk")))) as client:
        reply = await client.post("/explain", content=PICTURE, headers={"x-deadline-ms": "60000"})
    assert_problem(reply, 500)
