import asyncio
import threading

import pytest
from waiting import PATIENCE_S, eventually

from service.api import database as module
from service.api.database import THREADS, THREADS_OF_A_FILE, DatabaseThreads
from service.errors import DatabaseUnavailable, EvaluationNotFound
from service.evaluation.queue.jobs import Jobs
from service.settings import Settings

AWAY = "The database of evaluations does not answer."


def away() -> None:
    raise DatabaseUnavailable(AWAY)


def answers() -> None:
    """As a database that is well."""


async def test_an_answer_is_an_answer_and_an_error_an_error() -> None:
    database = DatabaseThreads(answers)
    assert await database.ask(divmod, 7, 2) == (3, 1)

    def nobody() -> None:
        raise EvaluationNotFound("nobody")

    with pytest.raises(EvaluationNotFound):
        await database.ask(nobody)
    assert await database.fault() is None


async def test_questions_that_a_slow_database_holds_up_are_refused_and_those_begun_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released, database = threading.Event(), DatabaseThreads(answers)
    all_begun = threading.Barrier(THREADS + 1)

    def hang() -> bool:
        all_begun.wait(PATIENCE_S)
        return released.wait(PATIENCE_S)

    begun = [asyncio.create_task(database.ask(hang)) for _ in range(THREADS)]
    await asyncio.to_thread(all_begun.wait, PATIENCE_S)
    monkeypatch.setattr(module, "QUEUE_S", 0.05)
    with pytest.raises(DatabaseUnavailable, match="too slow"):
        await database.ask(answers)
    released.set()
    assert await asyncio.gather(*begun) == [True] * THREADS


async def test_a_database_that_is_a_file_is_asked_in_few_threads(service_settings: Settings) -> None:
    begun, released = list[int](), threading.Event()
    database = DatabaseThreads.of(Jobs.of(service_settings), lambda _: None)

    def hang(number: int) -> bool:
        begun.append(number)
        return released.wait(PATIENCE_S)

    asked = [asyncio.create_task(database.ask(hang, number)) for number in range(THREADS)]
    await eventually(lambda: len(begun) == THREADS_OF_A_FILE)
    released.set()
    assert await asyncio.gather(*asked) == [True] * THREADS


async def test_those_who_read_go_on_while_writers_are_held_up() -> None:
    released, database = threading.Event(), DatabaseThreads(answers)
    held_up = [asyncio.create_task(database.change(released.wait, PATIENCE_S)) for _ in range(2 * THREADS)]
    await asyncio.sleep(0)
    assert await database.ask(divmod, 7, 2) == (3, 1)
    released.set()
    assert all(await asyncio.gather(*held_up))


async def test_a_question_that_failed_is_told_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    database = DatabaseThreads(answers)
    with pytest.raises(DatabaseUnavailable):
        await database.ask(away)
    assert await database.fault() == AWAY
    monkeypatch.setattr(module, "REMEMBERED_S", 0.0)
    assert await database.fault() is None


async def test_whether_it_answers_is_found_out_before_anybody_needs_it() -> None:
    assert await DatabaseThreads(away).fault() == AWAY


async def test_nobody_who_asks_whether_it_answers_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_WAIT_S", 0.01)
    released = threading.Event()
    database = DatabaseThreads(lambda: released.wait(PATIENCE_S))
    assert await database.fault() == "The database of evaluations has not answered yet."
    released.set()
    monkeypatch.setattr(module, "PROBE_WAIT_S", PATIENCE_S)
    assert await database.fault() is None


async def test_whoever_stops_waiting_leaves_no_error_behind(caplog: pytest.LogCaptureFixture) -> None:
    released, database = threading.Event(), DatabaseThreads(answers)

    def late() -> None:
        assert released.wait(PATIENCE_S)
        away()

    task = asyncio.create_task(database.ask(late))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    released.set()
    assert await database.ask(divmod, 7, 2) == (3, 1)
    assert "never retrieved" not in caplog.text
