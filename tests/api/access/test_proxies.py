from collections.abc import Callable

import pytest
from api.asking import Caller, connect
from doubles import FakeEngine
from starlette.types import Scope

from service.api.access.callers import caller_at
from service.api.access.proxies import Place, Proxies
from service.api.gate import Application

MakeApp = Callable[..., Application]


def scope_of(peer: str, path: str = "/models", **headers: str) -> Scope:
    given = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"client": (peer, 1), "path": path, "root_path": "", "headers": given}


@pytest.mark.parametrize(
    ("peer", "told", "caller"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what stands before it anybody may have written
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::/64"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9," * 500 + "10.0.0.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9", "127.0.0.1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_a_proxy_that_is_trusted_says_where_a_caller_comes_from(peer: str, told: str, caller: str) -> None:
    scope = scope_of(peer, x_forwarded_for=told)
    assert Proxies(["10.0.0.0/8"]).place(scope, dict(scope["headers"])).caller.name == caller


def test_nobody_is_trusted_unless_named() -> None:
    scope = scope_of("127.0.0.1", x_forwarded_for="203.0.113.9", x_forwarded_prefix="/a", x_forwarded_host="a.example")
    place = Proxies([]).place(scope, dict(scope["headers"]))
    assert (place.caller.name, place.prefix, place.hosts) == ("127.0.0.1", "", ())


def test_addresses_in_several_lines_are_one_row() -> None:
    scope = scope_of("10.0.0.1")
    scope["headers"] = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"10.0.0.7")]
    assert Proxies(["10.0.0.0/8"]).place(scope, dict(scope["headers"])).caller.name == "203.0.113.9"


@pytest.mark.parametrize(
    ("path", "told", "prefix", "own"),
    [
        ("/models", "/chapterhouse", "/chapterhouse", "/models"),
        ("/chapterhouse/models", "/chapterhouse/", "/chapterhouse", "/models"),
        ("/chapterhouse", "/chapterhouse", "/chapterhouse", "/"),
        ("/chapterhouses/models", "/chapterhouse", "/chapterhouse", "/chapterhouses/models"),
        ("/models", "/a/b, /c", "/a/b", "/models"),
        ("/models", "//evil.example", "", "/models"),
        ("/models", "/a/../b", "", "/models"),
        ("/models", "https://evil.example", "", "/models"),
        ("/models", "/a\tb", "", "/models"),
    ],
)
def test_a_path_is_the_services_own_behind_a_prefix(path: str, told: str, prefix: str, own: str) -> None:
    scope = scope_of("10.0.0.1", path, x_forwarded_prefix=told)
    place = Proxies(["10.0.0.1"]).place(scope, dict(scope["headers"]))
    assert (place.prefix, place.path) == (prefix, own)


@pytest.mark.parametrize("strips", [True, False])
async def test_location_redirects_and_pages_keep_the_prefix(make_app: MakeApp, strips: bool) -> None:  # noqa: FBT001
    for setting, headers in (
        ({"root_path": "/ch"}, {}),
        ({"trusted_proxies": ("127.0.0.1",)}, {"x-forwarded-prefix": "/ch"}),
    ):
        app = make_app(FakeEngine(), **setting)
        before = "" if strips else "/ch"
        async with connect(app) as client:
            redirect = await client.get(f"{before}/models/?a=b", headers=headers)
            assert (redirect.status_code, redirect.headers["location"]) == (307, "/ch/models?a=b")
            document = (await client.get(f"{before}/openapi.json", headers=headers)).json()
            assert document["servers"] == [{"url": "/ch"}]
            page = await client.get(f"{before}/docs", headers=headers)
            assert 'data-document="openapi.json"' in page.text  # beside the page
            assert (await client.post(f"{before}/classify", headers=headers)).status_code == 422  # the hot path


async def test_no_redirect_leads_to_another_host(make_app: MakeApp) -> None:
    app = make_app(FakeEngine())
    for host in ("localhost", "127.0.0.1:8000"):
        caller = Caller()
        await caller.ask(app, "GET", "/models/", {"host": host, "x-forwarded-host": "evil.example"})
        assert (b"location", b"/models") in caller.sent[0]["headers"]


async def test_metrics_know_a_request_by_its_own_path(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(), root_path="/ch")
    async with connect(app) as client:
        await client.post("/ch/classify")
        await client.get("/ch/models/echo")
        text = (await client.get("/ch/metrics")).text
    assert 'endpoint="/classify"' in text
    assert 'endpoint="/models/{model_id}"' in text


@pytest.mark.parametrize(
    ("location", "outside"),
    [
        (b"/evaluations/1", b"/ch/evaluations/1"),
        (b"/ch/evaluations/1", b"/ch/evaluations/1"),
        (b"http://house.example/ch/docs?a=b", b"/ch/docs?a=b"),
        (b"https://elsewhere.example/docs", b"https://elsewhere.example/docs"),
    ],
)
def test_a_location_is_told_as_the_caller_has_to_ask_for_it(location: bytes, outside: bytes) -> None:
    place = Place("/", "/ch", caller_at("192.0.2.7"), (b"house.example",))
    assert place.outside(location) == outside
