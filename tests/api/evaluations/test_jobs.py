import errno
from dataclasses import replace
from pathlib import Path

import pytest
from api.asking import BEARING, assert_problem, connect
from api.evaluating import asking, evaluating, state_over
from doubles import Echo, add_card
from evaluation.packing import digits, npz

from service.api.app import create_app
from service.api.evaluations import jobs as module
from service.errors import DatabaseUnavailable
from service.evaluation.pipeline import Bench
from service.evaluation.queue.jobs import Job
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    sides = (npz(tmp_path / f"{seed}.npz", {"images": digits(20, seed=seed, size=2)}) for seed in (1, 2))
    return {name: side.read_bytes() for name, side in zip(("generated", "reference"), sides, strict=True)}


def leftovers(settings: Settings) -> list[Path]:
    return list((settings.state / "uploads").glob("*"))


async def test_the_very_same_inputs_are_not_computed_again(
    bench: Bench, files: dict[str, bytes], tmp_path: Path
) -> None:
    add_card(bench.settings.shipped_models_dir / "echo")
    state = state_over(bench)
    repacked = npz(tmp_path / "again.npz", {"arr_0": digits(20, seed=1, size=2)[::-1]}, compressed=True)
    async with asking(state) as (client, _), evaluating(state):
        await bench.engine.load("echo")  # type: ignore[attr-defined]
        first = (await client.post("/evaluate", files=files, data={"metrics": "fid"})).json()
        sent = {**files, "generated": repacked.read_bytes()}
        again = {"metrics": "fid", "thresholds": "fid<=0"}
        seen = len(Echo.forwarded)
        second = (await client.post("/evaluate", files=sent, data={"metrics": "fid"})).json()
        seen_again = len(Echo.forwarded) - seen
        judged = (await client.post("/evaluate", files=sent, data=again)).json()
        other = (await client.post("/evaluate", files=sent, data={"metrics": "fid", "seed": "1"})).json()
        state.jobs.remove(first["id"])
        state.jobs.remove(second["id"])
        state.jobs.remove(judged["id"])
        anew = (await client.post("/evaluate", files=files, data={"metrics": "fid"})).json()
    assert (first["reused"], other["reused"], anew["reused"]) == (None, None, None)
    assert second["reused"] == first["id"]
    assert second["id"] != first["id"]
    assert second["metrics"] == first["metrics"] == judged["metrics"] == anew["metrics"]
    assert {"extract_reference", "measure", "fid"}.isdisjoint(second["timing"])
    assert seen_again <= 20 / 4  # blocks of the samples alone, and only while the reference is read
    assert judged["reused"] == second["id"]
    assert judged["verdict"]["passed"] is False
    assert second["verdict"] is None
    assert first["inputs_sha256"] == second["inputs_sha256"] != other["inputs_sha256"]


async def test_against_a_stored_reference_the_very_same_samples_are_not_even_looked_at(
    bench: Bench, files: dict[str, bytes]
) -> None:
    add_card(bench.settings.shipped_models_dir / "echo")
    state = state_over(bench)
    made = {"generated": files["generated"]}
    fields = {"metrics": "fid", "reference_name": "mine"}
    async with asking(state) as (client, _), evaluating(state):
        await client.put("/references/mine", files={"reference": files["reference"]})
        first = (await client.post("/evaluate", files=made, data=fields)).json()
        seen = list(Echo.forwarded)
        second = (await client.post("/evaluate", files=made, data=fields)).json()
    assert second["reused"] == first["id"]
    assert Echo.forwarded == seen


async def test_inputs_of_an_extractor_that_has_still_to_be_loaded_are_known_again(
    bench: Bench, files: dict[str, bytes], store: ModelStore
) -> None:
    add_card(bench.settings.shipped_models_dir / "echo")
    made = {"generated": files["generated"]}
    fields = {"metrics": "fid", "reference_name": "mine"}
    state = state_over(bench)
    async with asking(state) as (client, _), evaluating(state):
        await client.put("/references/mine", files={"reference": files["reference"]})
        first = (await client.post("/evaluate", files=made, data=fields)).json()
    async with LocalEngine(store, threads=1) as fresh:
        state = state_over(replace(bench, engine=fresh))
        async with asking(state) as (client, _), evaluating(state):
            second = (await client.post("/evaluate", files=made, data=fields)).json()
    assert second["reused"] == first["id"]
    assert "extract_generated" in second["timing"]
    assert "measure" not in second["timing"]


async def test_an_evaluation_is_compared_with_its_baseline(bench: Bench, files: dict[str, bytes]) -> None:
    state = state_over(bench)
    async with asking(state) as (client, _), evaluating(state):
        main = (await client.post("/evaluate", files=files, data={"metrics": "fid,mmd"})).json()
        fields = {"metrics": "fid,mmd", "baseline": main["id"]}
        same = (await client.post("/evaluate", files=files, data=fields)).json()
        assert [check["threshold"] for check in same["verdict"]["checks"]] == [
            f"fid not worse than {main['id']}",
            f"mmd not worse than {main['id']}",
        ]
        assert same["verdict"]["passed"] is True
        assert same["verdict"]["checks"][0]["baseline"]["difference"] == 0
        refused = {
            "nobody": (404, {"baseline": "nobody"}, files),
            "not 9": (409, {**fields, "seed": "9"}, files),
            "mmd with": (409, {**fields, "mmd.sigma": "3"}, files),
            "compared with a reference": (409, fields, {**files, "reference": files["generated"]}),
            "looked at its samples with": (409, {**fields, "features": "slow"}, files),
        }
        for words, (status, data, sent) in refused.items():
            reply = await client.post("/evaluate", files=sent, data=data)
            assert reply.status_code == status, reply.text
            assert words in reply.json()["detail"]


async def test_when_uploads_fill_their_share_of_the_disk_the_next_is_refused_for_the_moment(
    bench: Bench, files: dict[str, bytes]
) -> None:
    size = sum(map(len, files.values()))
    state = state_over(bench, uploads_disk_bytes=2 * size)
    async with asking(state) as (client, _):
        first = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
        assert first.status_code == 202
        refused = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert f"{2 * size:,} bytes of disk" in refused.json()["detail"]
        assert len(leftovers(state.settings)) == 1
        await client.delete(first.headers["location"])
        assert (await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})).status_code == 202


async def test_a_full_disk_is_507_and_leaves_nothing(
    bench: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    state = state_over(bench)
    monkeypatch.setattr(state.uploads, "commit", commit)
    async with asking(state) as (client, _):
        reply = await client.post("/evaluate", files=files)
    assert (reply.status_code, reply.json()["title"]) == (507, "The disk is full")
    assert leftovers(state.settings) == []


async def test_a_database_that_is_away_is_503(
    bench: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(*_: object, **_options: object) -> None:
        raise DatabaseUnavailable("The database of evaluations does not answer.")

    state = state_over(bench)
    monkeypatch.setattr(state.jobs, "accept", accept)
    async with asking(state) as (client, _):
        reply = await client.post("/evaluate", files=files)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert leftovers(state.settings) == []


async def test_as_many_evaluations_wait_as_may_and_the_next_is_refused_before_its_upload(
    bench: Bench, files: dict[str, bytes]
) -> None:
    state = state_over(bench, evaluations_limit_per_client=1, evaluations_limit=2)
    at_once = {"prefer": "wait=0"}
    app = create_app(state)
    async with connect(app, bears=False) as client, connect(app, host="192.0.2.7", bears=False) as other:
        first = await client.post("/evaluate", files=files, headers=at_once)
        assert first.status_code == 202
        refused = await client.post("/evaluate", content=b"never read", headers=at_once)
        assert_problem(refused, 429, "1 of this client's evaluations wait already")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await other.post("/evaluate", files=files, headers=at_once)).status_code == 202
        async with connect(app, host="198.51.100.3", bears=False) as third:
            sent = {"reference": files["reference"]}
            reply = await third.put("/references/mine", files=sent, headers={**at_once, **BEARING})
            assert_problem(reply, 429, "2 evaluations wait")
            assert_problem(await third.post("/evaluate", files=files, headers=at_once), 429, "2 evaluations wait")
        assert len(leftovers(state.settings)) == 2
        await client.delete(first.headers["location"], headers=BEARING)
        assert (await client.post("/evaluate", files=files, headers=at_once)).status_code == 202
    waiting = {state.jobs.get(name).client for name in state.jobs.ids("queued")}
    assert waiting == {"127.0.0.1", "192.0.2.7"}


async def test_a_database_that_is_away_for_a_moment_ends_no_wait(
    bench: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DATABASE_PATIENCE_S", 0.01)
    state = state_over(bench)
    away, get = 3, state.jobs.get

    def stumbling(job_id: str) -> Job:
        nonlocal away
        away -= 1
        if away >= 0:
            raise DatabaseUnavailable("The database of evaluations does not answer.")
        return get(job_id)

    monkeypatch.setattr(state.jobs, "get", stumbling)
    async with asking(state) as (client, _), evaluating(state):
        assert (await client.post("/evaluate", files=files, data={"metrics": "fid"})).status_code == 200
    assert away < 0


async def test_a_damaged_database_takes_nothing_else_along(bench: Bench, files: dict[str, bytes]) -> None:
    state = state_over(bench)
    async with asking(state) as (client, _):
        for model in state.settings.wanted_models:
            await bench.engine.load(model)  # type: ignore[attr-defined]
        assert (await client.get("/health/ready")).json()["impaired"] == []
        state.settings.database.write_bytes(b"this was a database once" * 400)
        for reply in (
            await client.post("/evaluate", files=files),
            await client.get("/evaluations"),
            await client.get("/evaluations/a"),
            await client.get("/evaluations/a/events"),
            await client.delete("/evaluations/a"),
        ):
            assert_problem(reply, 503, "The database of evaluations is damaged.")
        ready = await client.get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["impaired"] == ["evaluations: The database of evaluations is damaged."]
        assert (await client.get("/models")).status_code == 200
    assert leftovers(state.settings) == []
