import httpx
import pytest
from api.asking import assert_problem

from service.errors import error_types


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("GET", "/models/echo/load", 405),
        ("DELETE", "/models", 405),
        ("GET", "/generate", 405),
        ("POST", "/metrics", 405),
        ("POST", "/health/ready", 405),
        ("GET", "/models/nobody", 404),
        ("POST", "/models/nobody/load", 404),
        ("POST", "/models/nobody/unload", 404),
        ("GET", "/evaluations?limit=0", 422),
        ("GET", "/evaluations/nothing", 404),
        ("POST", "/generate", 422),
        ("POST", "/classify", 422),
        ("POST", "/evaluate", 415),
    ],
)
async def test_every_refusal_has_one_shape(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    reply = await client.request(method, path)
    assert_problem(reply, status)
    assert ("allow" in reply.headers) == (status == 405)
    assert set(reply.json()) <= {"type", "title", "status", "detail", "errors"}


@pytest.mark.parametrize("path", ["/generate", "/forecast", "/v2/models/echo/infer"])
async def test_no_refusal_is_longer_for_a_long_name(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.post(path, json={"k" * 1_000_000: 1, "inputs": [], "history": [1], "horizon": 1})
    assert reply.status_code in (400, 422)
    assert len(reply.content) < 1000


async def test_the_answer_to_head_has_no_body(client: httpx.AsyncClient) -> None:
    assert (await client.head("/nowhere")).content == b""


def test_no_two_errors_share_a_title_within_a_status() -> None:
    kinds = [kind for kind in error_types().values() if kind.__module__ == "service.errors"]
    assert len({(kind.status, kind.title) for kind in kinds}) == len(kinds)
