import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api.asking import connect
from api.evaluating import state_over
from evaluation.packing import digits, npz, pngs, zipped
from waiting import eventually

from service.api.app import create_app
from service.api.evaluations.jobs import FIELD_LIMIT_BYTES
from service.api.gate import Application
from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.worker import Evaluator
from service.settings import Settings
from service.telemetry.instruments import Instruments


@pytest.fixture
def state(bench: Bench) -> State:
    return state_over(bench)


@pytest.fixture
def app(state: State) -> Application:
    return create_app(state)


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(app, raise_app_exceptions=True) as client:
        yield client


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    made = npz(tmp_path / "made.npz", {"images": digits(20, seed=2, size=2)})
    real = zipped(tmp_path / "real.zip", pngs(digits(24, seed=1, size=2)))
    return {"generated": made.read_bytes(), "reference": real.read_bytes()}


def leftovers(settings: Settings) -> list[str]:
    return sorted(folder.name for folder in (settings.state / "uploads").iterdir())


@pytest.mark.usefixtures("evaluator")
async def test_samples_become_a_report_with_a_verdict(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    fields = {"metrics": "fid, mmd", "thresholds": "fid<=1000,mmd<-5", "mmd.sigma": "0.5", "seed": "7"}
    reply = await client.post("/evaluate", files=files, data=fields)
    assert reply.status_code == 200, reply.text
    report = reply.json()
    assert report["status"] == "finished"
    assert list(report["metrics"]) == ["fid", "mmd"]
    assert (report["metrics"]["mmd"]["sigma"], report["seed"]) == (0.5, 7)
    assert [check["passed"] for check in report["verdict"]["checks"]] == [True, False]
    assert report["verdict"]["passed"] is False
    assert reply.headers["location"] == f"/evaluations/{report['id']}"
    assert (await client.get(reply.headers["location"])).json() == report
    listed = (await client.get("/evaluations")).json()["evaluations"]
    assert [(row["id"], row["status"]) for row in listed] == [(report["id"], "finished")]


@pytest.mark.usefixtures("evaluator")
async def test_the_same_samples_give_the_same_numbers(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    first, second = [(await client.post("/evaluate", files=files)).json() for _ in range(2)]
    assert first["metrics"] == second["metrics"]
    assert first["id"] != second["id"]


async def test_without_waiting_the_answer_says_where_to_ask(
    client: httpx.AsyncClient, files: dict[str, bytes], state: State
) -> None:
    reply = await client.post("/evaluate", files=files, headers={"prefer": "respond-async, wait=0"})
    assert reply.status_code == 202
    accepted = reply.json()
    assert (accepted["status"], accepted["progress"]) == ("queued", 0)
    assert (await client.get(reply.headers["location"])).json() == accepted
    assert state.jobs.glance().waiting == 1


async def test_an_accepted_evaluation_is_found_by_an_evaluator_that_starts_later(
    client: httpx.AsyncClient, files: dict[str, bytes], bench: Bench, state: State
) -> None:
    reply = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
    running = Evaluator(bench, state.jobs, state.uploads, Instruments())
    task = asyncio.create_task(running.run())
    job_id = reply.json()["id"]
    await eventually(lambda: state.jobs.get(job_id).is_over)
    running.stopping.set()
    await task
    assert (await client.get(f"/evaluations/{job_id}")).json()["status"] == "finished"


@pytest.mark.usefixtures("evaluator")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"no archive", "not a zip"),
        (b"PK\x03\x04 and then nothing", "zip"),
    ],
)
async def test_a_file_that_cannot_be_read_is_422_and_stays_in_the_history(
    client: httpx.AsyncClient, files: dict[str, bytes], content: bytes, words: str
) -> None:
    reply = await client.post("/evaluate", files={**files, "generated": content})
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert words in reply.json()["detail"]
    failed = (await client.get(reply.headers["location"])).json()
    assert (failed["status"], failed["problem"]) == ("failed", reply.json())


@pytest.mark.usefixtures("evaluator")
async def test_an_npz_that_holds_objects_is_refused_and_nothing_is_unpickled(
    client: httpx.AsyncClient, files: dict[str, bytes], tmp_path: Path
) -> None:
    trap = npz(tmp_path / "objects.npz", {"images": np.array([{"a": 1}], dtype=object)})
    reply = await client.post("/evaluate", files={**files, "generated": trap.read_bytes()})
    assert reply.status_code == 422
    assert "object" in reply.json()["detail"]


@pytest.mark.usefixtures("evaluator")
async def test_a_zip_bomb_is_refused(client: httpx.AsyncClient, bench: Bench, files: dict[str, bytes]) -> None:
    settings = bench.settings.model_copy(update={"upload_limit_bytes": 1 << 20})
    object.__setattr__(bench, "settings", settings)
    archive = io.BytesIO()
    zipped_bomb = zipped(settings.state / "bomb.zip", [("a.png", b"\0" * (64 << 20))])
    archive.write(zipped_bomb.read_bytes())
    reply = await client.post("/evaluate", files={**files, "generated": archive.getvalue()})
    assert reply.status_code == 422
    assert "1,048,576 bytes" in reply.json()["detail"]


BAD_FORMS: list[tuple[dict[str, Any], int, str]] = [
    ({"data": {"reference_name": "x"}}, 404, "'x'"),
    ({"data": {"metrics": "fjd"}}, 422, "fjd"),
    ({"data": {"thresholds": "fid"}}, 422, "fid"),
    ({"data": {"thresholds": " "}}, 422, "thresholds: is empty"),
    ({"data": {"metrics": ""}}, 422, "metrics: is empty"),
    ({"data": {"thresholds": "is_<=3"}}, 422, "is_"),
    ({"data": {"seed": "-1"}}, 422, "seed"),
    ({"data": {"nonsense": "1"}}, 422, "nonsense"),
    ({"data": {"features": "nobody"}}, 404, "nobody"),
    ({"data": {"features": "doodle"}}, 409, "doodle"),
    ({"data": {"metrics": b"\xff\xfe"}}, 422, "UTF-8"),
    ({"data": {"thresholds": "f" * (FIELD_LIMIT_BYTES + 1)}}, 413, "field"),
]


@pytest.mark.parametrize(("form", "status", "words"), BAD_FORMS)
async def test_a_form_that_asks_for_what_cannot_be_is_refused_at_once(
    client: httpx.AsyncClient,
    files: dict[str, bytes],
    service_settings: Settings,
    form: dict[str, Any],
    status: int,
    words: str,
) -> None:
    sent = {"generated": files["generated"]} if "reference_name" in form["data"] else files
    reply = await client.post("/evaluate", files=sent, **form)
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert words in reply.json()["detail"]
    assert leftovers(service_settings) == []
    assert (await client.get("/evaluations")).json() == {"evaluations": []}


async def test_a_form_needs_samples_and_one_reference(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    reply = await client.post("/evaluate", files={"reference": files["reference"]})
    assert reply.status_code == 422
    assert reply.json()["errors"] == [
        {"field": "generated", "message": "the file with the samples to judge is missing"}
    ]
    for sent, data in (({"generated": b"x"}, {}), (files, {"reference_name": "x"})):
        reply = await client.post("/evaluate", files=sent, data=data)
        assert reply.status_code == 422
        assert "either the file" in reply.json()["detail"]


async def test_a_field_that_comes_twice_is_refused(client: httpx.AsyncClient, files: dict[str, bytes]) -> None:
    twice = [("generated", files["generated"]), ("generated", files["generated"])]
    reply = await client.post("/evaluate", files=twice)
    assert reply.status_code == 422
    assert "twice" in reply.json()["detail"]


async def test_another_kind_of_body_is_415(client: httpx.AsyncClient) -> None:
    reply = await client.post("/evaluate", json={"generated": "here"})
    assert reply.status_code == 415


async def test_an_upload_over_the_limit_is_413_while_it_streams(
    bench: Bench, state: State, files: dict[str, bytes], service_settings: Settings
) -> None:
    small = service_settings.model_copy(update={"upload_limit_bytes": 100_000})
    limited = State.of(small, store=bench.store, engines=bench.engine, control=state.control)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield b'--b\r\nContent-Disposition: form-data; name="generated"; filename="g"\r\n\r\n'
        while True:
            read += 10_000
            yield b"x" * 10_000

    transport = httpx.ASGITransport(create_app(limited))
    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reply = await client.post("/evaluate", content=endless(), headers=headers)
        told = await client.post("/evaluate", files={**files, "generated": b"x" * 200_000})
    assert (reply.status_code, told.status_code) == (413, 413)
    assert read <= 120_000
    assert leftovers(service_settings) == []


async def test_a_form_that_breaks_off_is_422_and_leaves_nothing(
    client: httpx.AsyncClient, service_settings: Settings
) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="generated"; filename="g"\r\n\r\nhalf of it'
    reply = await client.post("/evaluate", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert reply.status_code == 422
    assert leftovers(service_settings) == []


async def test_deleting_cancels_and_then_removes(
    client: httpx.AsyncClient, files: dict[str, bytes], service_settings: Settings
) -> None:
    reply = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
    place = reply.headers["location"]
    assert leftovers(service_settings) == [reply.json()["id"]]
    assert (await client.delete(place)).status_code == 204
    assert leftovers(service_settings) == []
    assert (await client.get(place)).json()["status"] == "cancelled"
    assert (await client.delete(place)).status_code == 204
    for gone in (await client.get(place), await client.delete(place)):
        assert gone.status_code == 404
        assert gone.json()["title"] == "No such evaluation"


async def test_the_files_of_a_running_evaluation_are_left_to_who_works_on_them(
    client: httpx.AsyncClient, files: dict[str, bytes], state: State, service_settings: Settings
) -> None:
    reply = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
    assert state.jobs.claim("somebody") is not None
    assert (await client.delete(reply.headers["location"])).status_code == 204
    assert (await client.get(reply.headers["location"])).json()["status"] == "cancelled"
    assert leftovers(service_settings) == [reply.json()["id"]]


async def test_the_references_are_listed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/references")).json() == {"references": []}


async def test_draining_ends_the_wait_but_not_the_evaluation(
    app: Application, client: httpx.AsyncClient, files: dict[str, bytes], state: State
) -> None:
    posted = asyncio.create_task(client.post("/evaluate", files=files))
    await eventually(lambda: state.jobs.glance().waiting)
    app.gate.draining = True
    reply = await posted
    assert reply.status_code == 202
    assert state.jobs.get(json.loads(reply.text)["id"]).status == "queued"
