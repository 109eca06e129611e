import time
from pathlib import Path

import pytest

from service.errors import EvaluationNotFound
from service.evaluation import jobs as module
from service.evaluation.jobs import ATTEMPTS_LIMIT, Jobs


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "state" / "chapterhouse.db")


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_S", -1.0)


def test_an_accepted_evaluation_is_claimed_worked_on_and_finished_once(jobs: Jobs) -> None:
    jobs.accept("a", {"seed": 1})
    assert jobs.get("a").status == "queued"
    assert jobs.waiting() == 1
    job = jobs.claim("one")
    assert job is not None
    assert (job.id, job.status, job.attempt, job.request) == ("a", "running", 1, {"seed": 1})
    assert jobs.renew(job, "one", 0.5)
    assert jobs.get("a").progress == 0.5
    assert jobs.finish(job, "one", {"fid": 1.5})
    done = jobs.get("a")
    assert done.is_over
    assert (done.status, done.report, done.progress) == ("finished", {"fid": 1.5}, 1.0)


def test_a_finished_report_never_changes(jobs: Jobs) -> None:
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"fid": 1})
    assert not jobs.finish(job, "one", {"fid": 2})
    assert not jobs.fail(job, "one", {"title": "no"})
    assert not jobs.give_back(job, "one")
    assert jobs.get("a").report == {"fid": 1}


def test_a_claim_is_one_evaluators_alone(jobs: Jobs) -> None:
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    assert jobs.claim("two") is None
    assert not jobs.renew(job, "two", 0.1)
    assert not jobs.finish(job, "two", {})


def test_the_oldest_evaluation_is_claimed_first(jobs: Jobs) -> None:
    for name in ("b", "a", "c"):
        jobs.accept(name, {})
    claimed = [jobs.claim("one") for _ in range(3)]
    assert [job.id for job in claimed if job] == ["b", "a", "c"]
    assert [job.id for job in jobs.latest(2)] == ["c", "a"]


@pytest.mark.usefixtures("short_lease")
def test_what_a_dead_evaluator_held_is_another_ones_when_its_lease_runs_out(jobs: Jobs) -> None:
    jobs.accept("a", {})
    first = jobs.claim("one")
    time.sleep(0.01)
    second = jobs.claim("two")
    assert first is not None
    assert second is not None
    assert second.attempt == 2
    assert not jobs.finish(first, "one", {"fid": 1})
    assert jobs.finish(second, "two", {"fid": 1})


@pytest.mark.usefixtures("short_lease")
def test_an_evaluation_that_kills_its_evaluator_every_time_is_failed_with_the_reason(jobs: Jobs) -> None:
    jobs.accept("a", {})
    for _ in range(ATTEMPTS_LIMIT):
        assert jobs.claim("one") is not None
        time.sleep(0.01)
    assert jobs.claim("one") is None
    job = jobs.get("a")
    assert job.status == "failed"
    assert job.problem is not None
    assert "died 3 times" in job.problem["detail"]


def test_giving_back_does_not_count_as_an_attempt(jobs: Jobs) -> None:
    jobs.accept("a", {})
    for _ in range(ATTEMPTS_LIMIT + 1):
        job = jobs.claim("one")
        assert job is not None
        assert jobs.give_back(job, "one")
    assert jobs.get("a").attempt == 0


def test_removing_cancels_what_is_not_over_and_deletes_what_is(jobs: Jobs) -> None:
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    assert jobs.remove("a") == "cancelled"
    assert not jobs.renew(job, "one", 0.5)
    assert not jobs.finish(job, "one", {})
    assert jobs.get("a").status == "cancelled"
    assert jobs.remove("a") == "removed"
    for ask in (jobs.get, jobs.remove):
        with pytest.raises(EvaluationNotFound, match="no evaluation 'a'"):
            ask("a")


def test_evaluations_outlive_the_process_that_accepted_them(tmp_path: Path) -> None:
    Jobs(tmp_path / "chapterhouse.db").accept("a", {"seed": 3})
    assert Jobs(tmp_path / "chapterhouse.db").get("a").request == {"seed": 3}
    assert Jobs(tmp_path / "chapterhouse.db").ids() == {"a"}
