import errno
from dataclasses import replace
from pathlib import Path

import pytest
from api.evaluating import asking, evaluating, state_over
from doubles import Echo, add_card
from evaluation.packing import digits, npz

from service.errors import DatabaseUnavailable
from service.evaluation.pipeline import Bench
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    sides = (npz(tmp_path / f"{seed}.npz", {"images": digits(20, seed=seed, size=2)}) for seed in (1, 2))
    return {name: side.read_bytes() for name, side in zip(("generated", "reference"), sides, strict=True)}


def leftovers(settings: Settings) -> list[Path]:
    return list((settings.state / "uploads").iterdir())


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
    def accept(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database of evaluations does not answer.")

    state = state_over(bench)
    monkeypatch.setattr(state.jobs, "accept", accept)
    async with asking(state) as (client, _):
        reply = await client.post("/evaluate", files=files)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert leftovers(state.settings) == []
