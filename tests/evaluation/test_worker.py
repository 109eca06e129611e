import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from doubles import Unanswering
from evaluation.packing import digits, npz
from waiting import PATIENCE_S, eventually

from service.errors import DatabaseUnavailable, EngineUnavailable
from service.evaluation import patience, pipeline
from service.evaluation import worker as module
from service.evaluation.pipeline import Bench
from service.evaluation.queue import jobs as leases
from service.evaluation.queue.changes import Change
from service.evaluation.queue.jobs import Glance, Job, Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.workers import Workers
from service.evaluation.report.schema import Report
from service.evaluation.threads import Stop, in_thread
from service.evaluation.worker import Evaluator
from service.runtime.calls import Array, Call, Engines, LoadedModel
from service.runtime.link import ConnectionLost
from service.settings import Settings
from service.telemetry.instruments import Instruments

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def jobs(service_settings: Settings) -> Jobs:
    return Jobs.of(service_settings)


@pytest.fixture
def uploads(service_settings: Settings) -> Uploads:
    return Uploads(service_settings.state)


class Restarting:
    """Engines that meet an error with everything until it is taken away."""

    def __init__(self, engines: Engines, error: EngineUnavailable) -> None:
        self.error: EngineUnavailable | None = error
        self.refused = 0
        self._engines = engines

    async def submit(self, call: Call, arrays: Sequence[Array], **options: Any) -> list[Array]:
        if self.error is not None:
            self.refused += 1
            raise self.error
        return await self._engines.submit(call, arrays, **options)

    def width(self) -> int:
        return self._engines.width()

    def models(self) -> Mapping[str, LoadedModel]:
        return self._engines.models()


def accept(jobs: Jobs, uploads: Uploads, job_id: str, **fields: object) -> None:
    folder = uploads.begin(job_id)
    for place, name in enumerate(("generated", "reference")):
        npz(folder / name, {"images": digits(12, seed=place, size=2)})
    uploads.commit(job_id)
    jobs.accept(job_id, fields)


def evaluator_of(bench: Bench, jobs: Jobs, uploads: Uploads) -> Evaluator:
    return Evaluator(bench, jobs, uploads, Instruments())


@pytest.fixture
async def running(bench: Bench, jobs: Jobs, uploads: Uploads) -> AsyncIterator[Evaluator]:
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    yield evaluator
    evaluator.stopping.set()
    await task


async def until_over(jobs: Jobs, job_id: str) -> Job:
    await eventually(lambda: jobs.get(job_id).is_over)
    return jobs.get(job_id)


@pytest.mark.usefixtures("running")
async def test_an_evaluation_becomes_a_report_and_its_upload_goes(jobs: Jobs, uploads: Uploads) -> None:
    accept(jobs, uploads, "a", metrics=["fid"])
    job = await until_over(jobs, "a")
    assert job.report is not None
    assert job.report["id"] == "a"
    assert job.report["metrics"]["fid"]["value"] > 0
    await eventually(lambda: not uploads.folder("a").exists())


@pytest.mark.usefixtures("running")
async def test_a_bad_evaluation_fails_with_its_reason_and_the_next_goes_on(jobs: Jobs, uploads: Uploads) -> None:
    accept(jobs, uploads, "bad", metrics=["fid"])
    (uploads.folder("bad") / "generated").write_bytes(b"not an archive at all")
    accept(jobs, uploads, "good", metrics=["fid"])
    failed = await until_over(jobs, "bad")
    assert failed.problem is not None
    assert failed.problem["status"] == 422
    assert (await until_over(jobs, "good")).status == "finished"


@pytest.mark.usefixtures("running")
async def test_a_failure_of_ours_does_not_carry_the_exceptions_text(
    jobs: Jobs, uploads: Uploads, caplog: pytest.LogCaptureFixture
) -> None:
    accept(jobs, uploads, "a", **{leases.REQUEST_ID: "build-4711"})
    (uploads.folder("a") / "generated").unlink()
    failed = await until_over(jobs, "a")
    assert failed.problem is not None
    assert failed.problem["status"] == 500
    assert "generated" not in failed.problem["detail"]
    [told] = [record for record in caplog.records if record.exc_info]
    assert vars(told)["fields"]["request"] == "build-4711"


async def test_told_to_stop_the_evaluator_queues_its_work_again(bench: Bench, jobs: Jobs, uploads: Uploads) -> None:
    engine = Unanswering()
    evaluator = evaluator_of(Bench(bench.settings, bench.store, engine, bench.references), jobs, uploads)
    accept(jobs, uploads, "a", metrics=["fid"])
    task = asyncio.create_task(evaluator.run())
    await engine.asked.wait()
    evaluator.stopping.set()
    await task
    job = jobs.get("a")
    assert (job.status, job.attempt) == ("queued", 0)
    assert uploads.folder("a").exists()
    assert engine.dropped.is_set()


async def test_a_cancelled_evaluation_is_let_go_of(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    engine = Unanswering()
    evaluator = evaluator_of(Bench(bench.settings, bench.store, engine, bench.references), jobs, uploads)
    accept(jobs, uploads, "a", metrics=["fid"])
    task = asyncio.create_task(evaluator.run())
    await engine.asked.wait()
    jobs.remove("a")
    await engine.dropped.wait()
    evaluator.stopping.set()
    await task
    assert jobs.get("a").status == "cancelled"


@pytest.mark.usefixtures("running")
async def test_the_next_evaluation_does_not_wait_for_the_last_step_of_a_cancelled_one(
    jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    entered, released, evaluate = threading.Event(), threading.Event(), pipeline.evaluate

    async def stuck(*arguments: Any, report_id: str, **options: Any) -> Report:
        def step(_: Stop) -> None:
            entered.set()
            assert released.wait(PATIENCE_S)

        if report_id == "a":
            await in_thread(step)
        return await evaluate(*arguments, report_id=report_id, **options)

    monkeypatch.setattr(module, "evaluate", stuck)
    accept(jobs, uploads, "a")
    await eventually(entered.is_set)
    jobs.remove("a")
    accept(jobs, uploads, "b", metrics=["fid"])
    assert (await until_over(jobs, "b")).status == "finished"
    assert uploads.folder("a").exists()
    released.set()
    await eventually(lambda: not uploads.folder("a").exists())
    assert jobs.get("a").status == "cancelled"


async def test_what_another_evaluator_has_by_now_keeps_its_upload(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.01)
    engine = Unanswering()
    evaluator = evaluator_of(Bench(bench.settings, bench.store, engine, bench.references), jobs, uploads)
    accept(jobs, uploads, "a", metrics=["fid"])
    task = asyncio.create_task(evaluator.run())
    await engine.asked.wait()
    other = Workers(bench.settings.state).enter()
    [slow] = jobs.glance().holders
    jobs.release(slow)  # as if its lease had run out
    taken = jobs.claim(other.name)
    await engine.dropped.wait()
    evaluator.stopping.set()
    await task
    assert taken is not None
    assert jobs.renew(taken, other.name, 0.5)
    assert sorted(file.name for file in uploads.folder("a").iterdir()) == ["generated", "reference"]
    other.leave()


async def test_an_evaluation_waits_for_an_engine_as_long_as_it_takes(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSE_S", 0.0)
    engine = Restarting(bench.engine, EngineUnavailable("No engine."))
    evaluator = evaluator_of(replace(bench, engine=engine), jobs, uploads)
    accept(jobs, uploads, "a", metrics=["fid"])
    task = asyncio.create_task(evaluator.run())
    await eventually(lambda: engine.refused > 100)
    assert jobs.get("a").status == "running"
    engine.error = None
    job = await until_over(jobs, "a")
    evaluator.stopping.set()
    await task
    assert (job.status, job.attempt) == ("finished", 1)


async def test_an_evaluation_of_which_every_engine_dies_fails(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSE_S", 0.0)
    engine = Restarting(bench.engine, ConnectionLost("The engine died before it answered."))
    evaluator = evaluator_of(replace(bench, engine=engine), jobs, uploads)
    accept(jobs, uploads, "a", metrics=["fid"])
    task = asyncio.create_task(evaluator.run())
    job = await until_over(jobs, "a")
    evaluator.stopping.set()
    await task
    assert job.problem is not None
    assert job.problem["status"] == 503
    assert "died each time" in job.problem["detail"]


async def test_what_a_killed_evaluator_held_is_begun_again_at_once(
    bench: Bench, jobs: Jobs, uploads: Uploads, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(jobs, uploads, "a", metrics=["fid"])
    dead = Workers(service_settings.state).enter()
    assert jobs.claim(dead.name) is not None
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    looked, glance = 0, jobs.glance

    def look() -> Glance:
        nonlocal looked
        looked += 1
        return glance()

    monkeypatch.setattr(jobs, "glance", look)
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    await eventually(lambda: looked > 2)
    assert jobs.get("a").attempt == 1  # its holder lives, and may be slow
    dead.leave()  # as its death would
    job = await until_over(jobs, "a")
    evaluator.stopping.set()
    await task
    assert (job.status, job.attempt) == ("finished", 2)
    assert Workers(service_settings.state).is_gone(dead.name)
    assert list((service_settings.state / "evaluators").iterdir()) == []


async def test_a_database_that_is_away_for_a_moment_ends_nothing(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DATABASE_PATIENCE_S", 0.01)
    away, evaluate = dict.fromkeys(("glance", "claim", "renew", "finish"), 2), pipeline.evaluate

    async def unhurried(*arguments: Any, **options: Any) -> Report:
        await eventually(lambda: away["renew"] <= 0)
        return await evaluate(*arguments, **options)

    def stumbling(name: str) -> Callable[..., object]:
        method = getattr(jobs, name)

        def ask(*arguments: Any, **options: Any) -> object:
            away[name] -= 1
            if away[name] >= 0:
                raise DatabaseUnavailable
            return method(*arguments, **options)

        return ask

    accept(jobs, uploads, "a", metrics=["fid"])
    monkeypatch.setattr(module, "evaluate", unhurried)
    for name in away:
        monkeypatch.setattr(jobs, name, stumbling(name))
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    job = await until_over(jobs, "a")
    evaluator.stopping.set()
    await task
    assert (job.status, job.attempt) == ("finished", 1)
    assert max(away.values()) <= 0


async def test_when_the_database_stays_away_the_evaluation_is_begun_again_once_it_is_back(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DATABASE_PATIENCE_S", 0.01)
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(leases, "LEASE_S", 0.1)
    monkeypatch.setattr(module, "AWAY_S", 0.1)
    away, finish = True, jobs.finish

    def stumbling(*arguments: Any, **options: Any) -> bool:
        if away:
            raise DatabaseUnavailable
        return finish(*arguments, **options)

    accept(jobs, uploads, "a", metrics=["fid"])
    monkeypatch.setattr(jobs, "finish", stumbling)
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    await eventually(lambda: jobs.get("a").attempt > 1)
    assert uploads.folder("a").exists()
    away = False
    assert (await until_over(jobs, "a")).status == "finished"
    evaluator.stopping.set()
    await task


async def test_an_idle_evaluator_asks_nothing_until_it_is_called(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, glance = 0, jobs.glance

    def look() -> Glance:
        nonlocal looks
        looks += 1
        return glance()

    monkeypatch.setattr(jobs, "glance", look)
    monkeypatch.setattr(module, "LOOK_S", PATIENCE_S)
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    await eventually(lambda: looks == 1)
    jobs.changes.arrived(Change("a", "running"))  # another evaluator's news
    await asyncio.sleep(0)
    elsewhere = Jobs.of(bench.settings)
    accept(elsewhere, uploads, "a", metrics=["fid"])
    assert (looks, jobs.get("a").status) == (1, "queued")
    jobs.changes.arrived(Change("a", "queued"))
    assert (await until_over(jobs, "a")).status == "finished"
    evaluator.stopping.set()
    await task


async def test_one_evaluator_alone_tidies_up(service_settings: Settings) -> None:
    first, second = Workers(service_settings.state), Workers(service_settings.state)
    assert (first.tidies_up(), second.tidies_up(), first.tidies_up()) == (True, False, True)
    first.stop_tidying()
    assert second.tidies_up()
    second.stop_tidying()


async def test_a_disk_that_is_full_is_a_reason(
    bench: Bench, jobs: Jobs, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_room(*_: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "evaluate", no_room)
    accept(jobs, uploads, "a", metrics=["fid"])
    evaluator = evaluator_of(bench, jobs, uploads)
    task = asyncio.create_task(evaluator.run())
    job = await until_over(jobs, "a")
    evaluator.stopping.set()
    await task
    assert job.problem is not None
    assert (job.problem["status"], job.problem["title"]) == (507, "The disk is full")
