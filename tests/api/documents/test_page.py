import gzip
import re

import httpx
import pytest
from api.asking import connect
from api.conftest import MakeApp

from service.api.access.pages import STRICT
from service.api.documents.page import FOLDER, KINDS, parts
from service.runtime.in_process import LocalEngine

MOST_BYTES = 300_000
ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/)")


async def test_the_page_loads_what_lies_beside_it_and_runs_nothing_of_its_own(client: httpx.AsyncClient) -> None:
    reply = await client.get("/")
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.headers["content-security-policy"] == STRICT
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script[^>]*>[^<]", reply.text)
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', reply.text)
    assert loaded
    assert not [path for path in loaded if path.startswith(("/", "http"))]
    for path in loaded:
        assert (await client.get(f"/{path}")).status_code == 200, path


@pytest.mark.parametrize("name", parts())
async def test_every_part_says_what_it_is_and_names_no_other_host(client: httpx.AsyncClient, name: str) -> None:
    reply = await client.get(f"/page/{name}")
    assert reply.headers["content-type"] == KINDS["." + name.rpartition(".")[2]]
    assert reply.content == (FOLDER / name).read_bytes()
    assert not ELSEWHERE.search(reply.text)


async def test_a_part_is_packed_for_browsers_that_take_that(client: httpx.AsyncClient) -> None:
    plain = await client.get("/page/main.js", headers={"accept-encoding": "identity"})
    packed = await client.get("/page/main.js", headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.content == plain.content
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    assert plain.headers["etag"] != packed.headers["etag"]


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
async def test_what_a_browser_has_already_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_what_is_no_part_is_not_looked_for_on_the_disk(client: httpx.AsyncClient) -> None:
    for name in ("nothing.js", "../api/app.py", "%2e%2e%2fapi%2fapp.py", "views"):
        assert (await client.get(f"/page/{name}")).status_code == 404


async def test_the_page_is_light() -> None:
    assert sum(len(gzip.compress(part.plain)) for part in parts().values()) < MOST_BYTES


async def test_behind_a_prefix_the_page_has_the_address_of_a_folder(make_app: MakeApp, engine: LocalEngine) -> None:
    async with connect(make_app(engine, root_path="/chapter")) as client:
        found = await client.get("/chapter")
        assert (found.status_code, found.headers["location"]) == (307, "/chapter/")
        page = await client.get("/chapter/")
        assert page.status_code == 200
        assert 'src="page/main.js"' in page.text
        assert (await client.get("/chapter/page/main.js")).status_code == 200
