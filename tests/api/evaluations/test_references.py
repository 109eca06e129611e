from pathlib import Path
from typing import Any

import pytest
from api.evaluating import asking, evaluating, state_over
from doubles import add_card
from evaluation.packing import digits, npz, pngs, zipped
from waiting import eventually

from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.references import References, save_reference

ALL = ("name", "dataset", "extractor", "weights_sha256", "count", "dim", "sha256", "shipped", "digests", "floors")


@pytest.fixture
def state(bench: Bench) -> State:
    add_card(bench.settings.shipped_models_dir / "echo")
    return state_over(bench)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return {"reference": zipped(tmp_path / "real.zip", pngs(digits(24, seed=1, size=2))).read_bytes()}


@pytest.fixture
def made(tmp_path: Path) -> bytes:
    return npz(tmp_path / "made.npz", {"images": digits(20, seed=2, size=2)}).read_bytes()


async def test_a_reference_is_put_compared_with_replaced_and_removed(
    state: State, files: dict[str, bytes], made: bytes
) -> None:
    async with asking(state) as (client, _), evaluating(state):
        put = await client.put("/references/mine", files=files, data={"features": "echo", "dataset": "squares"})
        assert put.status_code == 201, put.text
        assert put.headers["location"] == "/references/mine"
        assert tuple(put.json()) == ALL
        assert (put.json()["dataset"], put.json()["count"], put.json()["shipped"]) == ("squares", 24, False)
        assert (await client.get("/references/mine")).json() == put.json()
        assert (await client.get("/references")).json() == {"references": [put.json()]}
        fields = {"reference_name": "mine", "metrics": "fid"}
        report = (await client.post("/evaluate", files={"generated": made}, data=fields)).json()
        assert report["reference"]["sha256"] == put.json()["sha256"]
        again = await client.put("/references/mine", files={"reference": made})
        assert (again.status_code, again.json()["count"]) == (200, 20)
        assert (await client.delete("/references/mine")).status_code == 204
        for gone in (await client.get("/references/mine"), await client.delete("/references/mine")):
            assert (gone.status_code, gone.json()["title"]) == (404, "No such reference")


async def test_without_waiting_the_answer_says_where_to_ask(state: State, files: dict[str, bytes]) -> None:
    async with asking(state) as (client, _):
        reply = await client.put("/references/mine", files=files, headers={"prefer": "wait=0"})
        assert reply.status_code == 202
        assert (reply.json()["kind"], reply.json()["status"]) == ("reference", "queued")
        assert (await client.get("/references")).json() == {"references": []}
        async with evaluating(state):
            await eventually(lambda: state.jobs.get(reply.json()["id"]).is_over)
        found = await client.get(reply.headers["location"])
        assert (found.json()["kind"], found.json()["status"]) == ("reference", "finished")
        assert state.references.names() == ["mine"]
        assert list((state.settings.state / "uploads").iterdir()) == []


async def test_what_cannot_be_kept_is_a_problem(state: State, files: dict[str, bytes], made: bytes) -> None:
    forms: list[tuple[str, dict[str, bytes], dict[str, Any], int, str]] = [
        ("mine", {}, {"features": "echo"}, 422, "the file with the real samples is missing"),
        ("Mine", files, {}, 422, "cannot name a reference"),
        ("mine", files, {"features": "nobody"}, 404, "nobody"),
        ("mine", files, {"features": "doodle"}, 409, "doodle"),
        ("mine", files, {"seed": "-1"}, 422, "seed"),
        ("mine", files, {"name": "other", "colour": "red"}, 422, "colour"),
        ("mine", {"reference": b"nonsense"}, {}, 422, "not a zip"),
        ("mine", {"reference": made[:200]}, {}, 422, "damaged"),
    ]
    async with asking(state) as (client, _), evaluating(state):
        for name, sent, data, status, words in forms:
            padded = sent or {"other": b"x"}
            reply = await client.put(f"/references/{name}", files=padded, data=data)
            assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json"), words
            assert words in reply.json()["detail"]
        assert (await client.get("/references")).json() == {"references": []}


async def test_what_came_with_the_store_stays(state: State, files: dict[str, bytes]) -> None:
    own, shipped = state.settings.reference_dirs
    async with asking(state) as (client, _), evaluating(state):
        await client.put("/references/mine", files=files)
        save_reference(References(own).get("mine"), shipped)
        assert (await client.delete("/references/mine")).status_code == 204
        assert (await client.get("/references/mine")).json()["shipped"] is True
        refused = await client.delete("/references/mine")
        assert (refused.status_code, refused.json()["title"]) == (409, "The reference cannot be changed")
        hiding = await client.put("/references/mine", files=files)
        assert (hiding.status_code, hiding.json()["title"]) == (409, "The reference cannot be changed")
