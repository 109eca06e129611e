import asyncio
from collections.abc import Collection

import pytest
from waiting import PATIENCE_S, eventually

from service.api import watching as module
from service.api.database import DatabaseThreads
from service.api.watching import Watcher
from service.errors import DatabaseUnavailable
from service.evaluation.queue.jobs import Job, Jobs, Stage
from service.settings import Settings


class CountedJobs(Jobs):
    """The table of evaluations, which counts how often it is looked at, and may be away."""

    looks = 0
    away = False

    def stages(self, job_ids: Collection[str]) -> dict[str, Stage]:
        self.looks += 1
        if self.away:
            raise DatabaseUnavailable("It is away.")
        return super().stages(job_ids)


@pytest.fixture
def jobs(service_settings: Settings) -> CountedJobs:
    return CountedJobs.of(service_settings)


@pytest.fixture
def watcher(jobs: CountedJobs, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    monkeypatch.setattr(module, "BREATH_S", 0.0)
    return Watcher(jobs, DatabaseThreads(jobs.probe))


def wait(watcher: Watcher, job: Job, timeout_s: float = PATIENCE_S) -> "asyncio.Task[bool]":
    return asyncio.create_task(watcher.wait(job, timeout_s))


def accepted(jobs: Jobs, name: str) -> Job:
    jobs.accept(name, {})
    return jobs.get(name)


async def test_many_who_wait_cost_one_look_and_each_hears_of_its_own(
    jobs: CountedJobs, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", PATIENCE_S)
    waits = [wait(watcher, accepted(jobs, f"{number}")) for number in range(30)]
    await eventually(lambda: jobs.looks)
    looks = jobs.looks
    await asyncio.to_thread(jobs.remove, "7")
    assert await waits[7]
    assert jobs.looks <= looks + 2
    assert not any(task.done() for number, task in enumerate(waits) if number != 7)
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def test_what_changed_before_somebody_waited_is_noticed(jobs: CountedJobs, watcher: Watcher) -> None:
    job = accepted(jobs, "a")
    jobs.remove("a")
    assert await watcher.wait(job, PATIENCE_S)
    assert await watcher.wait(job, PATIENCE_S)  # it is still unlike what is known
    jobs.remove("a")
    assert await watcher.wait(job, PATIENCE_S)  # gone is a change, too


async def test_a_change_of_which_nobody_tells_is_found_all_the_same(
    jobs: CountedJobs, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, service_settings: Settings
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "CLOSING_S", 0.01)
    task = wait(watcher, accepted(jobs, "a"))
    await eventually(lambda: jobs.looks)
    Jobs.of(service_settings).remove("a")
    assert await task


async def test_a_wait_ends_in_time_and_leaves_nobody_watching(jobs: CountedJobs, watcher: Watcher) -> None:
    assert not await watcher.wait(accepted(jobs, "a"), 0.01)
    await eventually(lambda: watcher._watching is None)
    looks = jobs.looks
    await asyncio.to_thread(jobs.remove, "a")
    assert jobs.looks == looks


async def test_when_the_front_closes_everybody_is_let_go(jobs: CountedJobs, watcher: Watcher) -> None:
    waits = [wait(watcher, accepted(jobs, name)) for name in "ab"]
    await eventually(lambda: jobs.looks)
    watcher.closing = lambda: True
    assert await asyncio.gather(*waits) == [False, False]


async def test_when_the_database_is_away_whoever_waits_is_told(jobs: CountedJobs, watcher: Watcher) -> None:
    job = accepted(jobs, "a")
    jobs.away = True
    with pytest.raises(DatabaseUnavailable, match="It is away"):
        await watcher.wait(job, PATIENCE_S)
