"""A state directory that the version before the first release wrote, opened by this one.

`golden/state` was left by a service of that version that was stopped while an evaluation waited: one stored reference
of features, three reports, one failure, and an upload.
"""

import io
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from api.evaluating import asking, evaluating, state_over
from waiting import eventually

from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.evaluation.references import References
from service.evaluation.report.history import sha256_of

BEFORE = Path(__file__).parents[1] / "golden" / "state"
JUDGED, WORSE, OF_IMAGES = "9c8318862fb2e4aa", "ab1c80bd223b31db", "12ac7e9c4d3860fb"
FAILED, WAITING = "6af7111bd818bcc8", "9436e420d3cddc3e"
FIELDS = {"reference_name": "real", "thresholds": "fid<=0.001", "metrics": "fid,mmd,one_nn"}
"""What JUDGED had been asked with."""


def as_stored(evaluation_id: str) -> dict[str, Any]:
    """A report as its row in the old database holds it."""
    with sqlite3.connect(f"file:{BEFORE / 'chapterhouse.db'}?immutable=1", uri=True) as database:
        (report,) = database.execute("SELECT report FROM evaluations WHERE id = ?", (evaluation_id,)).fetchone()
    database.close()
    stored: dict[str, Any] = json.loads(report)
    return stored


def generated() -> bytes:
    """The samples that JUDGED measured."""
    rng = np.random.default_rng(7)
    rng.normal(size=(60, 3))
    stream = io.BytesIO()
    np.savez(stream, features=rng.normal(0.3, 1, size=(50, 3)).round(3))
    return stream.getvalue()


@pytest.fixture
def state(bench: Bench, tmp_path: Path) -> State:
    """A front's state over a copy of that directory, brought up as the supervisor does it."""
    folder = tmp_path / "before"
    shutil.copytree(BEFORE, folder)
    settings = bench.settings.model_copy(update={"state_dir": folder, "reports_keep_days": 0.0})
    migrate(Database.of(settings))
    return state_over(replace(bench, settings=settings, references=References.of(settings)))


@pytest.fixture
async def client(state: State) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the upgraded service, whose evaluator works."""
    async with asking(state) as (client, _), evaluating(state):
        yield client


async def ask(client: httpx.AsyncClient, **fields: str | None) -> dict[str, Any]:
    """The report on the samples that JUDGED measured; a field that is None is left out."""
    reply = await client.post(
        "/evaluate",
        files={"generated": ("generated.npz", generated())},
        data={name: said for name, said in {**FIELDS, **fields}.items() if said is not None},
        headers={"Prefer": "wait=60"},
    )
    assert reply.status_code == 200, reply.text
    report: dict[str, Any] = reply.json()
    return report


def holds(now: object, then: object) -> bool:
    """Whether everything that was said is still said, word for word; what is new beside it says nothing."""
    if isinstance(then, dict) and isinstance(now, dict):
        new = [now[name] for name in now.keys() - then.keys()]
        return all(holds(now[name], said) for name, said in then.items()) and not any(new)
    if isinstance(then, list) and isinstance(now, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return now == then


@pytest.mark.parametrize("evaluation_id", [JUDGED, WORSE, OF_IMAGES])
async def test_a_report_of_before_reads_as_it_did(client: httpx.AsyncClient, evaluation_id: str) -> None:
    reply = await client.get(f"/evaluations/{evaluation_id}")
    assert reply.status_code == 200
    assert holds(reply.json(), as_stored(evaluation_id)), reply.text


@pytest.mark.parametrize("media_type", ["text/html", "text/markdown", "application/junit+xml"])
async def test_a_report_of_before_is_rendered(client: httpx.AsyncClient, media_type: str) -> None:
    for evaluation_id in (JUDGED, WORSE, OF_IMAGES):
        reply = await client.get(f"/evaluations/{evaluation_id}", headers={"Accept": media_type})
        assert reply.status_code == 200, reply.text
        assert evaluation_id in reply.text


async def test_its_figures_are_drawn(state: State) -> None:
    figures = state.figure_files.load(OF_IMAGES)
    assert figures is not None
    assert figures.pairs is not None
    assert figures.projection is not None


async def test_a_failure_of_before_has_its_reason(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"/evaluations/{FAILED}")
    assert reply.json()["status"] == "failed"
    assert "NaN or infinite" in reply.json()["problem"]["detail"]


async def test_what_waited_then_is_measured_now(state: State, client: httpx.AsyncClient) -> None:
    await eventually(lambda: state.jobs.get(WAITING).is_over)
    report = (await client.get(f"/evaluations/{WAITING}")).json()
    assert report["status"] == "finished"
    assert report["generated"]["count"] == 40
    assert set(report["metrics"]) == {"fid", "mmd", "one_nn"}


async def test_a_reference_of_before_says_what_it_lacks_and_a_newer_one_what_it_has(client: httpx.AsyncClient) -> None:
    described = (await client.get("/references/real")).json()
    assert (described["count"], described["digests"], described["floors"]) == (60, False, [])
    stored = await client.put(
        "/references/newer", files={"reference": ("r.npz", generated())}, headers={"Prefer": "wait=60"}
    )
    assert stored.status_code == 201, stored.text
    assert stored.json() == (await client.get("/references/newer")).json()
    assert stored.json()["digests"]


async def test_the_same_samples_are_measured_anew_and_say_what_the_reference_lacks(client: httpx.AsyncClient) -> None:
    report, then = await ask(client), as_stored(JUDGED)
    assert report["reused"] is None
    assert report["inputs_sha256"] != then["inputs_sha256"]
    assert report["metrics"]["fid"]["value"] == pytest.approx(then["metrics"]["fid"]["value"])
    assert report["copies"] == {"exact": None, "near": 0}
    assert any("keeps no digests" in warning for warning in report["warnings"])
    assert "parts of the reference" in report["metrics"]["fid"]["noise_floor"]["how"]
    assert (await ask(client))["reused"] == report["id"]


async def test_a_report_of_before_is_a_baseline(client: httpx.AsyncClient) -> None:
    report = await ask(client, baseline=JUDGED, metrics="fid", thresholds=None)
    (check,) = report["verdict"]["checks"]
    assert check["passed"]
    assert check["baseline"]["value"] == as_stored(JUDGED)["metrics"]["fid"]["value"]


def test_the_digest_of_reuse_carries_the_number_of_its_format() -> None:
    assert sha256_of(generated="a") == sha256(b'{"format": 2, "generated": "a"}').hexdigest()
