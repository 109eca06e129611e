"""Every route and every scope, in one table: a route that has no line in it fails."""

import re
from collections.abc import Callable

import httpx
import pytest
from api.access.conftest import Bearing, MakeKey
from api.asking import LOCAL_TOKEN, assert_problem, connect
from api.describing import document_of, operations
from api.v2.speaking import assert_refused
from doubles import FakeEngine

from service.api.access.needs import ADMIN, NEEDS, need_of
from service.api.app import ROUTERS
from service.api.gate import Application

MakeApp = Callable[..., Application]

INFER, EVALUATE, ADMINISTER = "infer", "evaluate", "admin"
EVERYBODY, ANY_KEY = {"", INFER, EVALUATE, ADMINISTER}, {INFER, EVALUATE, ADMINISTER}
LET_IN = {
    "POST /classify": {INFER},
    "POST /generate": {INFER},
    "POST /explain": {INFER},
    "POST /forecast": {INFER},
    "POST /evaluate": {EVALUATE},
    "GET /evaluations": {EVALUATE, ADMINISTER},
    "GET /evaluations/{evaluation_id}": {EVALUATE, ADMINISTER},
    "GET /evaluations/{evaluation_id}/events": {EVALUATE, ADMINISTER},
    "DELETE /evaluations/{evaluation_id}": {EVALUATE, ADMINISTER},
    "GET /references": {EVALUATE, ADMINISTER},
    "GET /references/{name}": {EVALUATE, ADMINISTER},
    "PUT /references/{name}": {ADMINISTER},
    "DELETE /references/{name}": {ADMINISTER},
    "GET /models": ANY_KEY,
    "GET /models/{model_id}": ANY_KEY,
    "GET /models/{model_id}/recording": ANY_KEY,
    "GET /models/{model_id}/units": ANY_KEY,
    "PUT /models/{model_id}/aliases/{alias}": {ADMINISTER},
    "DELETE /models/{model_id}/aliases/{alias}": {ADMINISTER},
    "POST /models/{model_id}/load": {ADMINISTER},
    "POST /models/{model_id}/unload": {ADMINISTER},
    "GET /v2": EVERYBODY,
    "GET /v2/health/live": EVERYBODY,
    "GET /v2/health/ready": EVERYBODY,
    "GET /v2/models/stats": ANY_KEY,
    "GET /v2/models/{model_name}": ANY_KEY,
    "GET /v2/models/{model_name}/config": ANY_KEY,
    "GET /v2/models/{model_name}/ready": ANY_KEY,
    "GET /v2/models/{model_name}/stats": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/config": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/ready": ANY_KEY,
    "GET /v2/models/{model_name}/versions/{model_version}/stats": ANY_KEY,
    "POST /v2/models/{model_name}/infer": {INFER},
    "POST /v2/models/{model_name}/versions/{model_version}/infer": {INFER},
    "POST /v2/repository/index": ANY_KEY,
    "POST /v2/repository/models/{model_name}/load": {ADMINISTER},
    "POST /v2/repository/models/{model_name}/unload": {ADMINISTER},
    "GET /health/live": EVERYBODY,
    "GET /health/ready": EVERYBODY,
    "GET /metrics": {ADMINISTER},
    "GET /openapi.json": EVERYBODY,
    "GET /": EVERYBODY,
    "GET /page/{name:path}": EVERYBODY,
    "GET /docs": EVERYBODY,
    "GET /redoc": EVERYBODY,
    "GET /pages/{name}": EVERYBODY,
    "GET /favicon.ico": EVERYBODY,
    "GET /nowhere": {ADMINISTER},
    "POST /nowhere": {ADMINISTER},
    "OPTIONS /classify": {ADMINISTER},
}
"""Which keys get in, for every route and for what is none; the empty one is no key at all."""
TOKEN_NEEDED = {
    "DELETE /evaluations/{evaluation_id}",
    "PUT /references/{name}",
    "DELETE /references/{name}",
    "PUT /models/{model_id}/aliases/{alias}",
    "DELETE /models/{model_id}/aliases/{alias}",
    "POST /models/{model_id}/load",
    "POST /models/{model_id}/unload",
    "POST /v2/repository/models/{model_name}/load",
    "POST /v2/repository/models/{model_name}/unload",
    "POST /nowhere",
}
"""What needs this machine's token where there are no keys."""
ROUTES = {
    f"{method} {route.path}"  # type: ignore[attr-defined]
    for router in ROUTERS
    for route in router.routes
    for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
}


def assert_told(line: str, reply: httpx.Response, status: int, words: str) -> None:
    """The answer to this route is an error of this status, in the form of whoever asks there."""
    (assert_refused if " /v2" in line else assert_problem)(reply, status, words)


async def ask(client: httpx.AsyncClient, line: str) -> httpx.Response:
    method, path = line.split()
    return await client.request(method, re.sub(r"{\w+}", "echo", path))


@pytest.mark.parametrize("line", sorted(ROUTES))
def test_every_route_has_a_scope(line: str) -> None:
    assert line in NEEDS, f"{line} is the administrator's alone: give it a line in service/api/access/needs.py"
    assert line in LET_IN, f"{line} needs a line in tests/api/access/test_needs.py that says whose it is"


def test_every_line_of_the_table_is_a_route() -> None:
    assert NEEDS.keys() == ROUTES


def test_every_hot_path_is_a_route(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())
    assert app.gate.hot_paths
    assert {f"{method} {path}" for method, path in app.gate.hot_paths} <= NEEDS.keys()


@pytest.mark.parametrize("scope", ["", INFER, EVALUATE, ADMINISTER])
async def test_a_key_lets_its_owner_do_what_its_scopes_say_and_nothing_else(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing, scope: str
) -> None:
    app = make_app(FakeEngine())
    tokens = {name: make_key(name, [name]) for name in (INFER, EVALUATE, ADMINISTER)}
    async with bearing(app, tokens.get(scope, "")) as client:
        for line, let_in in LET_IN.items():
            reply = await ask(client, line)
            if scope in let_in:
                assert reply.status_code not in (401, 403), line
            elif scope:
                assert_told(line, reply, 403, f"The key {scope} is for {scope}; this needs ")
            else:
                assert_told(line, reply, 401, "Send a key as `Authorization: Bearer …`")
                assert reply.headers["www-authenticate"] == 'Bearer realm="chapterhouse"'


@pytest.mark.parametrize("token", ["ch_no-such-key", LOCAL_TOKEN[:-1], f"{LOCAL_TOKEN}x"])
async def test_what_is_no_key_opens_what_no_key_opens(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing, token: str
) -> None:
    app = make_app(FakeEngine())
    make_key("ci", [INFER])
    async with bearing(app, token) as client:
        for line, let_in in LET_IN.items():
            reply = await ask(client, line)
            if "" not in let_in:
                assert_told(line, reply, 401, "This key is not known, or no longer valid.")


async def test_this_machines_token_opens_everything_although_there_are_keys(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing
) -> None:
    app = make_app(FakeEngine())
    make_key("ci", [INFER])
    async with bearing(app, LOCAL_TOKEN) as client:
        for line in LET_IN:
            assert (await ask(client, line)).status_code not in (401, 403), line


async def test_a_key_with_all_scopes_may_do_everything(make_app: MakeApp, make_key: MakeKey, bearing: Bearing) -> None:
    app = make_app(FakeEngine())
    async with bearing(app, make_key("everything", ANY_KEY)) as client:
        for line in LET_IN:
            assert (await ask(client, line)).status_code not in (401, 403), line


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1", "testclient"])
async def test_without_keys_everybody_is_served_and_changes_nothing_wherever_it_is(
    make_app: MakeApp, host: str
) -> None:
    engine = FakeEngine()
    async with connect(make_app(engine), host=host) as client:
        token = client.headers.pop("authorization")
        for line in LET_IN:
            reply = await ask(client, line)
            if line in TOKEN_NEEDED:
                assert_told(line, reply, 401, "the token that the service has written into its state directory")
            else:
                assert reply.status_code not in (401, 403), line
        assert engine.commands == []
        client.headers["authorization"] = token
        for line in LET_IN:
            assert (await ask(client, line)).status_code not in (401, 403), line
    assert engine.commands == [("load", "echo"), ("unload", "echo")] * 2


async def test_a_service_without_a_token_of_its_own_is_changed_by_nobody(make_app: MakeApp, bearing: Bearing) -> None:
    app = make_app(FakeEngine(), local_token="")
    for token in ("", "anything"):
        async with bearing(app, token) as client:
            for line in sorted(TOKEN_NEEDED):
                assert (await ask(client, line)).status_code == 401


async def test_metrics_and_pages_are_opened_and_closed_by_settings(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing
) -> None:
    make_key("ci", [INFER])
    for is_open in (False, True):
        app = make_app(FakeEngine(), open_metrics=is_open, open_pages=is_open)
        async with bearing(app, "") as client:
            for path in ("/metrics", "/docs", "/redoc", "/openapi.json"):
                assert (await client.get(path)).status_code == (200 if is_open else 401), path


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models/a/b"), ("POST", "/models/a/load/b"), ("PATCH", "/models"), ("POST", "/docs")]
)
def test_what_stands_in_no_line_is_the_administrators(method: str, path: str) -> None:
    assert need_of(method, path) is ADMIN


def test_head_needs_what_get_does_and_a_slash_at_the_end_changes_nothing() -> None:
    for line, need in NEEDS.items():
        method, path = line.split()
        assert need_of(method, f"{path}/") is need
        if method == "GET":
            assert need_of("HEAD", path) is need


def test_the_document_says_which_scopes_an_operation_needs(app: Application) -> None:
    document = document_of(app)
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        line = f"{method.upper()} {path}"
        let_in = LET_IN[line] - {""}
        if "" in LET_IN[line]:
            assert operation["security"] == []
            assert {"401", "403"}.isdisjoint(operation["responses"])
            continue
        named = [scope for asked in operation["security"] for scope in asked.get("key", ())]
        assert set(named) == let_in
        assert ({} in operation["security"]) == (line not in TOKEN_NEEDED)
        assert {"401", "403", "429"} <= operation["responses"].keys()
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]
