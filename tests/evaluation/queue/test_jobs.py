import asyncio
import threading

import pytest
from waiting import PATIENCE_S, eventually

from service.errors import EvaluationNotFound
from service.evaluation.queue import jobs as module
from service.evaluation.queue.changes import Change
from service.evaluation.queue.database import EVALUATIONS, Database
from service.evaluation.queue.jobs import ATTEMPTS_LIMIT, JobKind, Jobs, Stage
from service.evaluation.queue.migrations import migrate


@pytest.fixture
def database(empty_database: Database) -> Database:
    migrate(empty_database)
    return empty_database


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_S", -1.0)


def test_an_accepted_evaluation_is_claimed_worked_on_and_finished_once(jobs: Jobs) -> None:
    jobs.accept("a", {"seed": 1})
    assert jobs.get("a").status == "queued"
    assert jobs.glance().waiting == 1
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
    assert jobs.remove("a") == "running"
    assert not jobs.renew(job, "one", 0.5)
    assert not jobs.finish(job, "one", {})
    assert jobs.get("a").status == "cancelled"
    assert jobs.remove("a") == "cancelled"
    for ask in (jobs.get, jobs.remove):
        with pytest.raises(EvaluationNotFound, match="no evaluation 'a'"):
            ask("a")


def test_evaluations_outlive_the_process_that_accepted_them(database: Database) -> None:
    Jobs(database).accept("a", {"seed": 3})
    assert Jobs(database).get("a").request == {"seed": 3}
    assert Jobs(database).ids() == {"a"}


def test_many_evaluators_claim_every_evaluation_once(database: Database) -> None:
    jobs = Jobs(database)
    for name in range(24):
        jobs.accept(f"{name:02}", {})
    claimed: list[str] = []

    def claim(owner: str) -> None:
        mine = Jobs(database)
        while mine.glance().waiting:
            if job := mine.claim(owner):
                claimed.append(job.id)

    threads = [threading.Thread(target=claim, args=(str(owner),), daemon=True) for owner in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(claimed) == [f"{name:02}" for name in range(24)]


def test_what_a_dead_evaluator_held_need_not_wait_for_its_lease(jobs: Jobs) -> None:
    jobs.accept("a", {})
    jobs.accept("b", {})
    first, other = jobs.claim("dead"), jobs.claim("alive")
    assert first is not None
    assert other is not None
    assert jobs.glance().holders == {"dead", "alive"}
    jobs.release("dead")
    again = jobs.claim("new")
    assert again is not None
    assert (again.id, again.attempt) == ("a", 2)
    assert jobs.claim("new") is None
    assert not jobs.finish(first, "dead", {})
    assert jobs.renew(other, "alive", 0.5)


def test_what_was_uploaded_elsewhere_is_left_to_the_evaluators_there(database: Database) -> None:
    here, there = Jobs(database, home="here"), Jobs(database, home="there")
    here.accept("a", {})
    assert there.claim("one") is None
    assert there.get("a").status == "queued"
    assert here.claim("two") is not None
    assert (here.glance().holders, there.glance().holders) == ({"two"}, set())
    there.release("two")
    assert there.claim("one") is None


def test_what_is_published_is_published_only_while_the_claim_is_held(jobs: Jobs) -> None:
    published: list[str] = []
    jobs.accept("a", {"name": "real"}, JobKind.REFERENCE)
    job = jobs.claim("one")
    assert job is not None
    assert job.kind == JobKind.REFERENCE
    assert not jobs.finish(job, "two", {}, publish=lambda: published.append("two"))
    with pytest.raises(OSError, match="no room"):
        jobs.finish(job, "one", {}, publish=no_room)
    assert jobs.get("a").status == "running"
    assert jobs.finish(job, "one", {"name": "real"}, publish=lambda: published.append("one"))
    assert published == ["one"]
    assert jobs.get("a").report == {"name": "real"}


def no_room() -> None:
    raise OSError("no room")


def test_the_newest_report_of_the_same_inputs_is_found(jobs: Jobs) -> None:
    for name, inputs in (("a", "x"), ("b", "x"), ("c", "y")):
        jobs.accept(name, {})
        job = jobs.claim("one")
        assert job is not None
        assert jobs.finish(job, "one", {"id": name, "inputs_sha256": inputs})
    assert jobs.finished_like("x") == {"id": "b", "inputs_sha256": "x"}
    assert jobs.finished_like("z") is None
    jobs.remove("b")
    jobs.remove("a")
    assert jobs.finished_like("x") is None


def test_only_what_is_over_can_be_forgotten(jobs: Jobs) -> None:
    jobs.accept("a", {})
    jobs.accept("b", {})
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"fid": 1.5})
    [ended] = jobs.over()
    assert (ended.id, ended.size_bytes) == ("a", len('{"fid": 1.5}'))
    jobs.forget(["a", "b"])
    assert jobs.ids() == jobs.ids("queued", "running") == {"b"}
    assert jobs.ids("finished") == set()


def test_a_claim_that_is_renewed_is_nobody_elses(jobs: Jobs) -> None:
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    assert jobs.renew(job, "one", 0.5)
    assert jobs.claim("two") is None


def test_renewing_prolongs_a_lease_that_would_have_run_out(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.accept("a", {})
    with monkeypatch.context() as patched:
        patched.setattr(module, "LEASE_S", -1.0)
        job = jobs.claim("one")
    assert job is not None
    assert jobs.renew(job, "one", 0.5)
    assert jobs.claim("two") is None


def test_an_evaluator_that_claims_again_does_not_end_its_earlier_attempt(jobs: Jobs) -> None:
    jobs.accept("a", {})
    first = jobs.claim("one")
    jobs.release("one")
    second = jobs.claim("one")
    assert first is not None
    assert second is not None
    assert not jobs.renew(first, "one", 0.9)
    assert not jobs.fail(first, "one", {"title": "no"})
    assert not jobs.give_back(first, "one")
    assert not jobs.finish(first, "one", {"fid": 1})
    assert (jobs.get("a").status, jobs.get("a").progress, jobs.get("a").attempt) == ("running", 0.0, 2)
    assert jobs.finish(second, "one", {"fid": 2})


def test_the_dead_of_another_state_directory_release_nothing_here(database: Database) -> None:
    here, there = Jobs(database, home="here"), Jobs(database, home="there")
    here.accept("a", {})
    assert here.claim("one") is not None
    there.release("one")
    assert here.claim("two") is None
    here.release("one")
    assert here.claim("two") is not None


def test_rows_of_the_first_version_which_name_no_home_are_anybodys(database: Database) -> None:
    jobs = Jobs(database, home="here")
    jobs.accept("a", {})
    with database.writing() as connection:
        connection.execute(EVALUATIONS.update().values(home=None))
    assert jobs.claim("one") is not None


def test_only_a_report_that_was_finished_is_given_again(jobs: Jobs, database: Database) -> None:
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"id": "a", "inputs_sha256": "x"})
    with database.writing() as connection:
        connection.execute(EVALUATIONS.update().values(status="cancelled"))
    assert jobs.finished_like("x") is None


def test_turns_are_by_client_and_then_by_size(jobs: Jobs) -> None:
    for name, client, size in (("a", "x", 9), ("b", "x", 1), ("c", "y", 500), ("d", "x", 5)):
        jobs.accept(name, {}, client=client, upload_bytes=size)
    claimed = [jobs.claim("one") for _ in range(4)]
    assert [(job.id, job.client) for job in claimed if job][:2] == [("b", "x"), ("c", "y")]
    assert {job.id for job in claimed if job} == set("abcd")


async def test_whatever_is_written_is_told(jobs: Jobs) -> None:
    told: list[Change] = []
    jobs.changes.listen(told.append)

    def work() -> None:
        jobs.accept("a", {})
        job = jobs.claim("one")
        assert job is not None
        assert jobs.renew(job, "one", 0.5)
        assert not jobs.renew(job, "two", 0.7)
        assert jobs.finish(job, "one", {})
        jobs.remove("a")
        jobs.accept("b", {})
        jobs.remove("b")

    await asyncio.to_thread(work)
    await eventually(lambda: Change("b", "cancelled") in told)
    assert [(change.id, change.status) for change in told] == [
        ("a", "queued"),
        ("a", "running"),
        ("a", "running"),
        ("a", "finished"),
        ("a", "cancelled"),
        ("b", "queued"),
        ("b", "cancelled"),
    ]


async def test_what_was_rolled_back_is_not_told(jobs: Jobs) -> None:
    told: list[Change] = []
    jobs.accept("a", {})
    job = jobs.claim("one")
    assert job is not None
    jobs.changes.listen(told.append)
    with pytest.raises(OSError, match="no room"):
        jobs.finish(job, "one", {}, publish=no_room)
    await asyncio.sleep(0)
    assert told == []


def test_those_who_wait_see_how_far_it_is(jobs: Jobs) -> None:
    jobs.accept("a", {})
    jobs.accept("b", {})
    assert jobs.claim("one") is not None
    assert jobs.stages({"a", "b", "nobody"}) == {"a": Stage("running", 1, 0.0), "b": Stage("queued", 0, 0.0)}
    jobs.probe()
