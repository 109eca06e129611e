import re

import httpx
import pytest

from service.api.access.pages import STRICT
from service.api.documents.documentation import LOADED, PARTS

ELSEWHERE = re.compile(r"(?:src|href)=\"(?:https?:)?//")


@pytest.mark.parametrize("page", LOADED)
async def test_a_page_loads_what_the_service_itself_has_and_nothing_else(client: httpx.AsyncClient, page: str) -> None:
    reply = await client.get(f"/{page}")
    assert not ELSEWHERE.search(reply.text)
    assert "<style" not in reply.text
    assert not re.search(r"<script[^>]*>[^<]", reply.text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', reply.text)
    assert set(loaded) == {f"pages/{name}" for name in ("favicon.png", *LOADED[page])}
    for path in loaded:
        assert (await client.get(f"/{path}")).status_code == 200
    assert reply.headers["content-security-policy"] == STRICT


@pytest.mark.parametrize("name", PARTS)
async def test_every_part_is_kept_by_browsers_and_says_what_it_is(client: httpx.AsyncClient, name: str) -> None:
    reply = await client.get(f"/pages/{name}")
    assert reply.headers["content-type"].partition(";")[0] == PARTS[name][1]
    assert reply.headers["cache-control"].startswith("max-age=")
    assert reply.content


async def test_what_is_no_part_is_not_looked_for_on_the_disk(client: httpx.AsyncClient) -> None:
    for name in ("show.js.map", "..%2fapp.py", "%2e%2e%2fapp.py"):
        reply = await client.get(f"/pages/{name}")
        assert reply.status_code == 404
        assert "There is no" in reply.json()["detail"] or "Not Found" in reply.json()["detail"]


async def test_browsers_find_the_icon_where_they_look_for_it(client: httpx.AsyncClient) -> None:
    reply = await client.get("/favicon.ico")
    assert reply.content.startswith(b"\x89PNG")
    assert reply.headers["content-type"] == "image/png"
