import httpx
import pytest
from api.asking import Caller

from service.api.access.pages import POLICIES, REPORT, STRICT, headers_for
from service.api.gate import Application

FORBIDDEN = ("unsafe", "https:", "http:", "*", "data: ;", "blob:")


async def test_a_kind_is_never_guessed(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/models"), ("POST", "/classify"), ("GET", "/nowhere"), ("GET", "/docs")):
        reply = await client.request(method, path)
        assert reply.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "content-security-policy" not in (await client.get("/models")).headers


async def test_a_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"] == POLICIES.get(path, STRICT)
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "base-uri 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_the_strict_policy_is_strict() -> None:
    assert STRICT.startswith("default-src 'none'")
    assert not [word for word in FORBIDDEN if word in STRICT]
    assert "script-src" not in REPORT  # a report runs nothing
    assert not POLICIES  # no page needs more


@pytest.mark.parametrize("kind", [b"text/html", b"text/html; charset=utf-8", b"image/svg+xml"])
def test_whatever_a_browser_shows_has_a_policy(kind: bytes) -> None:
    assert "content-security-policy" in {name.decode() for name, _ in headers_for("/anything", kind)}
    assert headers_for("/anything", b"application/json") == []


async def test_no_header_is_given_twice(app: Application) -> None:
    for path in ("/docs", "/models", "/nowhere"):
        caller = Caller()
        await caller.ask(app, "GET", path)
        names = [name for name, _ in caller.sent[0]["headers"]]
        assert len(names) == len(set(names))
