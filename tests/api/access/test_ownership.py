"""No key meets another's evaluation: not by asking, not as a baseline, and not because the samples are the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from api.access.conftest import Bearing, MakeKey
from api.asking import LOCAL_TOKEN, assert_problem
from api.evaluating import evaluating, state_over
from doubles import add_card
from evaluation.packing import digits, npz

from service.api.app import create_app
from service.api.gate import Application
from service.api.state import State
from service.evaluation.pipeline import Bench


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    sides = (npz(tmp_path / f"{seed}.npz", {"images": digits(20, seed=seed, size=2)}) for seed in (1, 2))
    return {name: side.read_bytes() for name, side in zip(("generated", "reference"), sides, strict=True)}


@pytest.fixture
def state(bench: Bench) -> State:
    add_card(bench.settings.shipped_models_dir / "echo")
    return state_over(bench)


@pytest.fixture
async def app(state: State) -> AsyncIterator[Application]:
    """A service that evaluates."""
    async with evaluating(state):
        yield create_app(state)


async def measure(client: httpx.AsyncClient, files: dict[str, bytes], **fields: str) -> httpx.Response:
    return await client.post("/evaluate", files=files, data={"metrics": "mmd", "intervals": "false", **fields})


async def test_a_key_meets_its_own_evaluations_and_an_administrator_all(
    app: Application, files: dict[str, bytes], make_key: MakeKey, bearing: Bearing
) -> None:
    ours, theirs = make_key("ours", ["evaluate"]), make_key("theirs", ["evaluate"])
    admin = make_key("boss", ["admin"])
    async with bearing(app, ours) as client:
        first = await measure(client, files)
        assert first.status_code == 200
        place = first.headers["location"]
        again = await measure(client, files)
        assert again.json()["reused"] == first.json()["id"]
        baseline = await measure(client, files, baseline=first.json()["id"])
        assert baseline.status_code == 200
    async with bearing(app, theirs) as client:
        missing = [
            await client.get(place),
            await client.get(f"{place}/events"),
            await client.delete(place),
            await measure(client, files, baseline=first.json()["id"]),
        ]
        nowhere = await client.get("/evaluations/no-such-one")
        for reply in missing:
            assert_problem(reply, 404, f"There is no evaluation '{first.json()['id']}'")
            assert reply.json()["title"] == nowhere.json()["title"]
        assert (await client.get("/evaluations")).json() == {"evaluations": []}
        own = await measure(client, files)
        assert own.json()["reused"] is None
        assert len((await client.get("/evaluations")).json()["evaluations"]) == 1
        assert (await client.delete(own.headers["location"])).status_code == 204
    for token in (admin, LOCAL_TOKEN):
        async with bearing(app, token) as client:
            assert (await client.get(place)).status_code == 200
            assert len((await client.get("/evaluations")).json()["evaluations"]) == 3
    async with bearing(app, admin) as client:
        assert (await client.delete(place)).status_code == 204


async def test_what_was_evaluated_before_there_were_keys_is_nobodys(
    app: Application, files: dict[str, bytes], make_key: MakeKey, bearing: Bearing, state: State
) -> None:
    async with bearing(app, "") as client:
        first = await measure(client, files)
        shared = await measure(client, files)
        assert shared.json()["reused"] == first.json()["id"]
        assert (await client.get(first.headers["location"])).status_code == 200
    token = make_key("ci", ["evaluate"])
    await state.guard.keyring.read_again()
    later = state_over(state.bench)
    async with evaluating(later), bearing(create_app(later), token) as client:
        assert (await client.get(first.headers["location"])).status_code == 404
        assert (await measure(client, files)).json()["reused"] is None


async def test_everybody_meets_everybodys_where_there_are_no_keys(
    app: Application, files: dict[str, bytes], bearing: Bearing
) -> None:
    async with bearing(app, LOCAL_TOKEN) as client:
        first = await measure(client, files)
    async with bearing(app, "") as client:
        assert (await measure(client, files)).json()["reused"] == first.json()["id"]
