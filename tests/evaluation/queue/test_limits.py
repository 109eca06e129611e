import threading

import pytest
from waiting import PATIENCE_S

from service.errors import Overloaded
from service.evaluation.queue.database import EVALUATIONS, Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.limits import LEAST_S, MOST_S, Limits
from service.evaluation.queue.migrations import migrate

TWO_OF_FOUR = Limits(a_client=2, in_all=4, evaluators=2)


@pytest.fixture
def jobs(empty_database: Database) -> Jobs:
    migrate(empty_database)
    return Jobs(empty_database, home="here")


def refusal(jobs: Jobs, client: str, limits: Limits = TWO_OF_FOUR) -> Overloaded:
    with pytest.raises(Overloaded) as raised:
        jobs.accept("refused", {}, client=client, limits=limits)
    with pytest.raises(Overloaded):
        jobs.check_room(client, limits)
    assert "refused" not in jobs.ids()
    return raised.value


def accept(jobs: Jobs, *names: str, client: str) -> None:
    for name in names:
        jobs.accept(name, {}, client=client, limits=TWO_OF_FOUR)


def work(jobs: Jobs, *, seconds: float) -> None:
    """Have one evaluation that took so long."""
    jobs.accept("done", {}, client="done")
    job = jobs.claim("one")
    assert job is not None
    assert jobs.finish(job, "one", {})
    with jobs.database.writing() as connection:
        done = EVALUATIONS.update().where(EVALUATIONS.c.id == "done")
        connection.execute(done.values(started=1000.0, ended=1000.0 + seconds))


def test_a_client_may_have_so_many_wait_and_others_still_come_in(jobs: Jobs) -> None:
    accept(jobs, "a", "b", client="x")
    assert "2 of this client's" in refusal(jobs, "x").detail
    accept(jobs, "c", client="y")
    jobs.check_room("y", TWO_OF_FOUR)


def test_all_together_may_have_so_many_wait(jobs: Jobs) -> None:
    accept(jobs, "a", "b", client="x")
    accept(jobs, "c", "d", client="y")
    assert refusal(jobs, "z").detail.startswith("4 evaluations wait already")


def test_what_is_worked_on_and_what_is_over_do_not_wait(jobs: Jobs) -> None:
    accept(jobs, "a", "b", client="x")
    assert jobs.claim("one") is not None
    accept(jobs, "c", client="x")
    jobs.remove("c")
    jobs.check_room("x", TWO_OF_FOUR)


def test_what_waits_in_another_state_directory_takes_no_room_here(jobs: Jobs) -> None:
    there = Jobs(jobs.database, home="there")
    accept(there, "a", "b", client="x")
    jobs.check_room("x", TWO_OF_FOUR)


def test_whoever_is_refused_is_told_to_wait_as_long_as_the_queue_takes(jobs: Jobs) -> None:
    work(jobs, seconds=30)
    accept(jobs, "a", "b", client="x")
    assert refusal(jobs, "x").retry_after_s == 15  # one client waits for two evaluators
    accept(jobs, "c", client="y")
    assert refusal(jobs, "x").retry_after_s == 30  # two clients take turns
    accept(jobs, "d", client="y")
    assert refusal(jobs, "z").retry_after_s == 15  # anybody's turn makes room


@pytest.mark.parametrize(("seconds", "told"), [(0.01, LEAST_S), (1e7, MOST_S)])
def test_nobody_is_told_to_come_back_at_once_or_never(jobs: Jobs, seconds: float, told: int) -> None:
    work(jobs, seconds=seconds)
    accept(jobs, "a", "b", client="x")
    assert refusal(jobs, "x").retry_after_s == told


def test_of_several_who_come_at_once_no_more_are_let_in_than_may(jobs: Jobs) -> None:
    refused: list[str] = []

    def come(name: str) -> None:
        try:
            jobs.accept(name, {}, client="x", limits=TWO_OF_FOUR)
        except Overloaded:
            refused.append(name)

    threads = [threading.Thread(target=come, args=(str(name),), daemon=True) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert (len(refused), len(jobs.ids("queued"))) == (6, 2)


def test_what_uploads_take_of_a_shared_storage_has_a_limit_for_each_client_and_in_all(jobs: Jobs) -> None:
    limits = Limits(a_client=10, in_all=10, evaluators=1, upload_bytes=100, client_share=0.75)
    for name, client, size in (("a", "x", 40), ("b", "x", 30), ("c", "y", 25)):
        jobs.accept(name, {}, client=client, upload_bytes=size, limits=limits)
    for client, size in (("x", 6), ("z", 6)):
        with pytest.raises(Overloaded, match="may take 100 bytes of the storage"):
            jobs.accept("d", {}, client=client, upload_bytes=size, limits=limits)
    jobs.remove("a")
    jobs.accept("d", {}, client="z", upload_bytes=45, limits=limits)
    assert jobs.ids("queued") == {"b", "c", "d"}
