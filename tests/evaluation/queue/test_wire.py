import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres import empty
from waiting import eventually

from service.evaluation.queue import wire as module
from service.evaluation.queue.changes import Change, Changes
from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.wire import carry, listen
from service.processes.supervisor import WantedModels
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool


class Hearer:
    """A process that may change evaluations, and keeps what it hears."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.heard: list[Change] = []
        self.changes.listen(self.heard.append)


async def test_what_one_process_changes_the_others_hear_through_the_supervisor(sockets: Path) -> None:
    supervisor = Listener(WantedModels(set(), EnginePool([])))
    await supervisor.listen(sockets / "supervisor.sock")
    processes, pools = [Hearer() for _ in range(3)], []
    for process in processes:
        pool = EnginePool([sockets / "supervisor.sock"])
        carry(process.changes, pool)
        await pool.start()
        pools.append(pool)
    await eventually(lambda: all(Change() in process.heard for process in processes))  # connected: look once
    processes[0].changes.tell(Change("a", "queued"))
    await eventually(lambda: all(Change("a", "queued") in process.heard for process in processes))
    processes[1].changes.tell(Change("b", "finished"))
    await eventually(lambda: all(Change("b", "finished") in process.heard for process in processes))
    for process in processes:
        assert process.heard.count(Change("a", "queued")) == 1
    for pool in pools:
        await pool.stop()
    await supervisor.close()


def test_only_what_is_new_may_be_work() -> None:
    assert [Change("a", status).may_be_work for status in ("queued", "", "running", "finished")] == [
        True,
        True,
        False,
        False,
    ]


async def test_whoever_listens_no_more_is_told_no_more() -> None:
    changes, heard = Changes(), list[Change]()
    stop = changes.listen(heard.append)
    stop()
    stop()
    changes.tell(Change("a", "queued"))
    await asyncio.sleep(0)
    assert heard == []


def test_a_loop_that_has_ended_hears_nothing_and_stops_nobody() -> None:
    changes = Changes()

    async def listen_once() -> None:
        changes.listen(print)

    asyncio.run(listen_once())
    changes.tell(Change("a", "queued"))


async def test_through_postgresql_services_on_other_machines_hear(
    postgres_url: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    empty(postgres_url)
    database = Database(postgres_url)
    migrate(database)
    there, elsewhere = Hearer(), Jobs(database, home="elsewhere")
    listening = asyncio.create_task(listen(Database(postgres_url), there.changes))
    await eventually(lambda: Change() in there.heard)
    await asyncio.to_thread(elsewhere.accept, "a", {})
    await eventually(lambda: Change("a", "queued") in there.heard)
    there.heard.clear()
    with database.writing() as connection:  # as when its server is restarted
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.exec_driver_sql(f"{others} AND strpos(query, 'LISTEN') = 1")
    await eventually(lambda: Change() in there.heard)
    await asyncio.to_thread(elsewhere.remove, "a")
    await eventually(lambda: Change("a", "cancelled") in there.heard)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    database.close()


async def test_sqlite_needs_nobody_who_listens(tmp_path: Path) -> None:
    await listen(Database(sa.URL.create("sqlite", database=str(tmp_path / "x.db"))), Changes())
