from collections.abc import Callable

import httpx
import pytest
from api.asking import assert_problem, connect
from doubles import FakeEngine

from service.api.gate import Application

pytestmark = pytest.mark.usefixtures("both_ways")

MakeApp = Callable[..., Application]
WRITES = [
    ("POST", "/classify"),
    ("POST", "/generate"),
    ("POST", "/evaluate"),
    ("POST", "/models/echo/unload"),
    ("PUT", "/references/mine"),
    ("DELETE", "/evaluations/x"),
]
FROM_ELSEWHERE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    {"origin": "https://evil.example"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://localhost:8001"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "localhost"},
]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_no_page_of_another_site_changes_anything_or_sends_work(
    make_app: MakeApp, method: str, path: str
) -> None:
    engine = FakeEngine()
    async with connect(make_app(engine)) as client:
        for headers in FROM_ELSEWHERE:
            assert_problem(await client.request(method, path, headers=headers), 403, "A page of another site")
    assert (engine.commands, engine.calls) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost"},
        {"origin": "https://localhost"},  # a proxy has ended TLS
        {"origin": "http://LOCALHOST:80"},
        {"origin": "http://localhost", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_its_own_pages_and_programs_get_in(make_app: MakeApp, headers: dict[str, str]) -> None:
    async with connect(make_app(FakeEngine())) as client:
        for method, path in WRITES:
            assert (await client.request(method, path, headers=headers)).status_code not in (401, 403)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("x.localhost", True),
        ("127.0.0.1:9000", True),
        ("127.9.9.9", True),
        ("[::1]:8000", True),
        ("[::ffff:127.0.0.1]", True),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.0.2.7:8000", False),
        ("0.0.0.0", False),
        ("x" * 300, False),
    ],
)
async def test_a_service_on_loopback_answers_to_names_of_this_machine_only(
    make_app: MakeApp,
    host: str,
    known: bool,  # noqa: FBT001
) -> None:
    async with connect(make_app(FakeEngine())) as client:
        for method, path in (("GET", "/models"), ("POST", "/classify"), ("GET", "/docs"), ("GET", "/metrics")):
            reply = await client.request(method, path, headers={"host": host})
            assert (reply.status_code != 403) == known, path
        assert (await client.get("/health/live", headers={"host": host})).status_code == 200


async def test_a_page_that_was_led_here_by_its_name_is_told_by_that_name(make_app: MakeApp) -> None:
    engine = FakeEngine()
    rebound = {"host": "evil.example:8000", "origin": "http://evil.example:8000", "sec-fetch-site": "same-origin"}
    async with connect(make_app(engine, trusted_proxies=("127.0.0.1",))) as client:
        for headers in (rebound, {**rebound, "x-forwarded-host": "localhost", "x-forwarded-for": "127.0.0.1"}):
            assert_problem(await client.post("/models/echo/load", headers=headers), 403, "by the name in `Host`")
            assert_problem(await client.get("/evaluations", headers=headers), 403, "CHAPTERHOUSE_ALLOWED_HOSTS")
    assert engine.commands == []


@pytest.mark.parametrize(
    ("settings", "answers"),
    [
        ({"host": "0.0.0.0"}, {"anything.example", "localhost", "house.example"}),
        ({"host": "0.0.0.0", "allowed_hosts": ("House.example",)}, {"localhost", "house.example"}),
        ({"host": "127.0.0.1", "allowed_hosts": ("house.example:8000",)}, {"localhost", "house.example:8000"}),
        ({"host": "127.0.0.1", "allowed_hosts": ("*",)}, {"anything.example", "localhost", "house.example"}),
    ],
)
async def test_elsewhere_a_setting_says_by_which_names(
    make_app: MakeApp, settings: dict[str, object], answers: set[str]
) -> None:
    async with connect(make_app(FakeEngine(), **settings)) as client:
        for host in ("anything.example", "localhost", "house.example", "house.example:8000"):
            known = host in answers or host.partition(":")[0] in answers
            assert ((await client.get("/models", headers={"host": host})).status_code == 200) == known, host


async def test_a_proxy_that_is_trusted_says_by_which_name_it_was_asked(make_app: MakeApp) -> None:
    asked = {"origin": "https://house.example", "x-forwarded-host": "house.example"}
    async with connect(make_app(FakeEngine(), trusted_proxies=("127.0.0.1",))) as client:
        assert (await client.post("/models/echo/load", headers=asked)).status_code == 204
    async with connect(make_app(FakeEngine())) as client:
        assert_problem(await client.post("/models/echo/load", headers=asked), 403)


async def preflight(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST", "sec-fetch-site": "cross-site"}
    del client.headers["authorization"]  # browsers send none along
    return await client.options("/classify", headers=asked)


async def test_pages_of_origins_that_are_named_may_use_the_service(make_app: MakeApp) -> None:
    asked = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
    async with connect(make_app(FakeEngine(), cors_origins=("https://app.example",))) as client:
        for reply in (
            await client.get("/models", headers=asked),
            await client.post("/classify", headers=asked),
            await client.post("/models/echo/load", headers=asked),
        ):
            assert reply.status_code not in (401, 403)
            assert reply.headers["access-control-allow-origin"] == "https://app.example"
            assert "x-model" in reply.headers["access-control-expose-headers"]
            assert "origin" in reply.headers["vary"]
            assert "access-control-allow-credentials" not in reply.headers
        other = await client.get("/models", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert "origin" in other.headers["vary"]
        assert_problem(await client.post("/classify", headers={"origin": "https://evil.example"}), 403)
        allowed = await preflight(client, "https://app.example")
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "authorization" in allowed.headers["access-control-allow-headers"]


async def test_no_other_page_is_told_that_it_may(make_app: MakeApp) -> None:
    for origins in ((), ("https://app.example",)):
        async with connect(make_app(FakeEngine(), cors_origins=origins)) as client:
            reply = await preflight(client, "https://evil.example")
        assert_problem(reply, 403, "No page of this origin")
        assert "access-control-allow-origin" not in reply.headers


async def test_any_origin_can_be_let_in(make_app: MakeApp) -> None:
    async with connect(make_app(FakeEngine(), cors_origins=("*",))) as client:
        reply = await client.post("/classify", headers={"origin": "https://any.example"})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (422, "https://any.example")
