import pytest

from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.standing import SCORED, Standing


@pytest.fixture
def jobs(empty_database: Database) -> Jobs:
    migrate(empty_database)
    return Jobs(empty_database)


def finish(jobs: Jobs, job_id: str, fid: float, reference: str | None = "mnist-test") -> None:
    jobs.accept(job_id, {})
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"metrics": {"fid": {"value": fid}}, "reference": {"name": reference}})


def test_those_who_wait_and_those_worked_on_are_counted_with_their_age(jobs: Jobs) -> None:
    standing = Standing(jobs)
    assert {status: crowd.count for status, crowd in standing.crowds().items()} == {"queued": 0, "running": 0}
    for name in "abc":
        jobs.accept(name, {})
    assert jobs.claim("one") is not None
    crowds = standing.crowds()
    assert (crowds["queued"].count, crowds["running"].count) == (2, 1)
    assert all(crowd.oldest_s >= 0 for crowd in crowds.values())


def test_the_latest_scores_come_first_and_each_report_is_read_once(jobs: Jobs) -> None:
    standing = Standing(jobs)
    for number in range(SCORED + 3):
        finish(jobs, f"job-{number:02d}", float(number), None if number == SCORED else "mnist-test")
        standing.scores()
    found = standing.scores()
    assert [scores.values["fid"] for scores in found] == [float(number) for number in range(SCORED + 2, 2, -1)]
    assert found[2].reference == "sent"
    assert {scores.reference for scores in found} == {"mnist-test", "sent"}
