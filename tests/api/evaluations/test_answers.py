from pathlib import Path
from xml.etree.ElementTree import fromstring

import httpx
import pytest
from evaluation.packing import digits, npz, pngs, zipped

from service.api.gate import Application
from service.api.state import State

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def state(app: Application) -> State:
    shared: State = app.state.shared
    return shared


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    made = npz(tmp_path / "made.npz", {"images": digits(40, seed=2, size=2)})
    real = zipped(tmp_path / "real.zip", pngs(digits(48, seed=1, size=2)))
    return {"generated": made.read_bytes(), "reference": real.read_bytes()}


@pytest.mark.usefixtures("evaluator")
async def test_a_report_comes_in_the_form_that_is_accepted(
    client: httpx.AsyncClient, files: dict[str, bytes], state: State
) -> None:
    fields = {"metrics": "fid", "thresholds": "fid<=0"}
    posted = await client.post("/evaluate", files=files, data=fields, headers={"accept": "text/markdown"})
    assert posted.status_code == 200, posted.text
    assert posted.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "the check does not hold" in posted.text
    place = posted.headers["location"]
    shown = {}
    for media_type in ("application/json", "application/xml", "application/junit+xml", BROWSER):
        reply = await client.get(place, headers={"accept": media_type})
        assert reply.status_code == 200
        assert reply.headers["vary"] == "accept"
        shown[reply.headers["content-type"]] = reply
    assert set(shown) == {
        "application/json",
        "application/xml",
        "application/junit+xml",
        "text/html; charset=utf-8",
    }
    assert fromstring(shown["application/xml"].text).get("failures") == "1"
    page = shown["text/html; charset=utf-8"]
    assert "Nearest to real samples" in page.text
    assert "Fréchet distance by sample size" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert shown["application/json"].json()["metrics"]["fid"]["value"] > 0
    state.figure_files.discard(place.rpartition("/")[2])
    bare = await client.get(place, headers={"accept": "text/html"})
    assert bare.status_code == 200
    assert "Nearest to real samples" not in bare.text


@pytest.mark.usefixtures("evaluator")
async def test_the_exhibits_go_with_their_evaluation_and_are_copied_to_one_of_the_same_inputs(
    client: httpx.AsyncClient, files: dict[str, bytes], state: State
) -> None:
    first, second = [(await client.post("/evaluate", files=files, data={"metrics": "fid"})).json() for _ in range(2)]
    for report in (first, second):
        assert state.figure_files.load(report["id"]) is not None
    await client.delete(f"/evaluations/{first['id']}")
    assert state.figure_files.load(first["id"]) is None
    assert state.figure_files.load(second["id"]) is not None


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0"])
async def test_what_nobody_writes_is_406_before_anything_is_read(
    client: httpx.AsyncClient, files: dict[str, bytes], accept: str
) -> None:
    for reply in (
        await client.post("/evaluate", files=files, headers={"accept": accept}),
        await client.get("/evaluations/nobody", headers={"accept": accept}),
    ):
        assert reply.status_code == 406
        assert reply.headers["content-type"] == "application/problem+json"
        assert "text/markdown" in reply.json()["detail"]
    assert (await client.get("/evaluations")).json() == {"evaluations": []}


@pytest.mark.usefixtures("evaluator")
async def test_errors_stay_problems_and_their_page_says_why(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    headers = {"accept": "text/html"}
    reply = await client.post("/evaluate", files={**files, "generated": b"<b>no archive"}, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    page = await client.get(reply.headers["location"], headers=headers)
    assert page.headers["content-type"].startswith("text/html")
    assert "The file cannot be read" in page.text
    told = await client.get(reply.headers["location"], headers={"accept": "text/markdown"})
    assert told.json()["status"] == "failed"


async def test_who_waits_at_a_page_is_told_how_far_it_is(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    headers = {"accept": BROWSER, "prefer": "wait=0"}
    reply = await client.post("/evaluate", files=files, headers=headers)
    assert reply.status_code == 202
    assert f"url={reply.headers['location']}" in reply.text
    assert "Waiting" in (await client.get(reply.headers["location"], headers=headers)).text
