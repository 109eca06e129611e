import asyncio

import pytest
import sqlalchemy as sa
from waiting import eventually

from service.evaluation.queue.changes import Change
from service.evaluation.queue.database import EVALUATIONS, HOMES, Database
from service.evaluation.queue.homes import FORGOTTEN_S, SILENT_S, Homes
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.leading import Lead
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.standing import Standing
from service.evaluation.tidying import ROUND_S

LIMIT_S = 600.0
STORE = "s3://bucket"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def homes_of(jobs: Jobs, clock: Clock) -> Homes:
    return Homes(jobs, limit_s=LIMIT_S, clock=clock)


def watch(homes: Homes, clock: Clock, seconds: float) -> None:
    """Look again and again for so long."""
    until = clock.now + seconds
    while clock.now < until:
        clock.now = min(until, clock.now + ROUND_S)
        homes.look()


def begin(jobs: Jobs, name: str) -> None:
    """Accept an evaluation and begin it, by an evaluator that died long ago."""
    jobs.accept(name, {})
    assert jobs.claim("dead") is not None
    jobs.release("dead")


def test_what_a_lost_service_alone_could_read_is_queued_and_fails_when_it_stays_away(
    database: Database, clock: Clock
) -> None:
    here, there = Jobs(database, home="here"), Jobs(database, home="there")
    homes, theirs = homes_of(here, clock), homes_of(there, clock)
    theirs.beat()
    homes.beat()
    begin(there, "begun")
    there.accept("waiting", {})
    homes.look()
    watch(homes, clock, SILENT_S)
    assert here.get("begun").status == "running"
    watch(homes, clock, 1)
    assert (here.get("begun").status, here.get("begun").progress) == ("queued", 0.0)
    assert here.claim("one") is None
    watch(homes, clock, LIMIT_S)
    for name in ("begun", "waiting"):
        failed = here.get(name)
        assert failed.problem is not None
        assert (failed.status, failed.problem["status"]) == ("failed", 503)
        assert "silent for 600 s. Send it again." in failed.problem["detail"]


def test_a_service_that_comes_back_in_time_goes_on(database: Database, clock: Clock) -> None:
    here, there = Jobs(database, home="here"), Jobs(database, home="there")
    homes, theirs = homes_of(here, clock), homes_of(there, clock)
    theirs.beat()
    begin(there, "a")
    homes.look()
    watch(homes, clock, LIMIT_S - 1)
    assert there.get("a").status == "queued"
    theirs.beat()
    watch(homes, clock, 2)
    claimed = there.claim("two")
    assert claimed is not None
    assert (claimed.id, claimed.attempt) == ("a", 2)


def test_what_everybody_can_read_is_anybodys_to_work_on_and_counted_once(database: Database, clock: Clock) -> None:
    here, there = Jobs(database, home="here", storage=STORE), Jobs(database, home="there", storage=STORE)
    homes, theirs = homes_of(here, clock), homes_of(there, clock)
    theirs.beat()
    for name in ("a", "b", "c"):
        there.accept(name, {})
    assert (here.glance().waiting, there.glance().waiting, here.glance().is_work) == (0, 3, True)
    claimed = here.claim("one")
    assert claimed is not None
    assert (here.glance().holders, there.glance().holders) == ({"one"}, set())
    assert [Standing(jobs).crowds()["running"].count for jobs in (here, there)] == [1, 0]
    there.release("one")  # of another state directory, whatever it is called there
    assert here.renew(claimed, "one", 0.5)
    homes.look()
    watch(homes, clock, SILENT_S + 1)
    assert [jobs.glance().waiting for jobs in (here, there)] == [2, 0]
    watch(homes, clock, LIMIT_S)
    assert here.get("b").status == "queued"


async def test_a_claim_that_nobody_renews_is_told_to_all_who_could_go_on(database: Database, clock: Clock) -> None:
    here, told = Jobs(database, home="here", storage=STORE), list[Change]()
    here.changes.listen(told.append)
    homes = homes_of(here, clock)
    await asyncio.to_thread(homes.look)
    await asyncio.to_thread(here.accept, "a", {})
    await eventually(lambda: told == [Change("a", "queued")])
    await asyncio.to_thread(begin, Jobs(database, home="there", storage=STORE), "b")
    await asyncio.to_thread(homes.look)
    await eventually(lambda: Change() in told)


def test_nobody_is_taken_for_lost_because_the_database_was_away(database: Database, clock: Clock) -> None:
    here, there = Jobs(database, home="here"), Jobs(database, home="there")
    homes = homes_of(here, clock)
    homes_of(there, clock).beat()
    there.accept("a", {})
    homes.look()
    clock.now += 2 * LIMIT_S
    watch(homes, clock, LIMIT_S)
    assert there.get("a").status == "queued"


def test_a_service_of_an_older_version_is_heard_by_the_leases_that_it_renews(database: Database, clock: Clock) -> None:
    here, older = Jobs(database, home="here"), Jobs(database, home="older")
    homes = homes_of(here, clock)
    for name in ("running", "waiting"):
        older.accept(name, {})
    running = older.claim("one")
    assert running is not None
    for _ in range(4):
        watch(homes, clock, LIMIT_S / 2)
        assert older.renew(running, "one", 0.5)
    assert older.get("waiting").status == "queued"
    watch(homes, clock, LIMIT_S + SILENT_S)
    assert older.get("waiting").status == "failed"


def test_who_keeps_its_uploads_to_itself_leaves_those_of_a_storage_alone(database: Database, clock: Clock) -> None:
    alone, sharing = Jobs(database, home="alone"), Jobs(database, home="sharing", storage=STORE)
    alone.accept("mine", {})
    sharing.accept("everybodys", {})
    homes = homes_of(alone, clock)
    homes.look()
    watch(homes, clock, LIMIT_S + SILENT_S)
    assert alone.get("everybodys").status == "queued"
    assert [job.id for job in alone.open_here()] == ["mine"]
    claimed = [jobs.claim("one") for jobs in (alone, sharing, alone, sharing)]
    assert [job and job.id for job in claimed] == ["mine", "everybodys", None, None]


def test_what_waited_here_before_the_storage_was_shared_is_still_worked_on(database: Database) -> None:
    Jobs(database, home="here").accept("old", {})
    claimed = Jobs(database, home="here", storage=STORE).claim("one")
    assert claimed is not None
    assert claimed.id == "old"


def test_one_service_leads_and_when_it_ends_another(database: Database, postgres_url: sa.URL) -> None:
    elsewhere = Database(postgres_url)
    first, second = Lead(database), Lead(elsewhere)
    assert (first.is_ours(), second.is_ours(), first.is_ours(), second.is_ours()) == (True, False, True, False)
    first.resign()
    assert (second.is_ours(), first.is_ours()) == (True, False)
    second.resign()
    elsewhere.close()


def test_services_that_are_long_gone_are_forgotten(database: Database, clock: Clock) -> None:
    here = Jobs(database, home="here")
    homes = homes_of(here, clock)
    for home in ("here", "gone", "needed"):
        homes_of(Jobs(database, home=home), clock).beat()
    Jobs(database, home="needed").accept("a", {})
    with database.writing() as connection:
        connection.execute(sa.update(HOMES).values(seen=HOMES.c.seen - FORGOTTEN_S - 60))
    homes.beat()
    homes.look()
    with database.reading() as connection:
        assert set(connection.execute(sa.select(HOMES.c.id)).scalars()) == {"here", "needed"}


def test_a_file_of_one_service_has_no_others_to_look_after(tmp_path_factory: pytest.TempPathFactory) -> None:
    database = Database(sa.URL.create("sqlite", database=str(tmp_path_factory.mktemp("lone") / "x.db")))
    migrate(database)
    jobs = Jobs(database, home="here")
    homes = homes_of(jobs, Clock())
    homes.beat()
    homes.look()
    assert Lead(database).is_ours()
    jobs.accept("a", {})
    with database.reading() as connection:
        assert connection.execute(sa.select(HOMES.c.id)).first() is None
        assert connection.execute(sa.select(EVALUATIONS.c.storage)).scalar_one() == ""
    database.close()
