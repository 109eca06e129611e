import asyncio
import time

import pytest
from api.asking import Caller
from fastapi import Request
from waiting import eventually

from service.api.deadlines import Deadline
from service.api.evaluations.jobs import until_over
from service.api.gate import Application
from service.api.state import State
from service.errors import DeadlineExceeded


@pytest.fixture
def state(app: Application) -> State:
    shared: State = app.state.shared
    return shared


async def test_work_that_is_not_done_in_time_is_cancelled() -> None:
    dropped = asyncio.Event()

    async def work() -> None:
        async with Deadline("10").kept():
            try:
                await asyncio.Event().wait()
            finally:
                dropped.set()

    with pytest.raises(DeadlineExceeded, match="passed before there was an answer"):
        await work()
    assert dropped.is_set()


async def test_without_a_deadline_nothing_is_in_a_hurry() -> None:
    deadline = Deadline(None)
    assert deadline.at is None
    async with deadline.kept():
        await asyncio.sleep(0)


async def test_what_has_been_accepted_goes_on_after_the_deadline() -> None:
    deadline = Deadline("1")
    passes = deadline.at
    assert passes is not None
    async with deadline.kept():
        deadline.lift()
        await eventually(lambda: time.monotonic() > passes)
        await asyncio.sleep(0)


async def test_a_timeout_of_the_works_own_is_not_the_deadlines() -> None:
    with pytest.raises(TimeoutError, match="a disk"):
        async with Deadline("60000").kept():
            raise TimeoutError("a disk")


async def test_a_wait_ends_with_the_deadline_and_says_how_far_it_is(app: Application, state: State) -> None:
    state.jobs.accept("waiting", {})
    deadline = Deadline("1")
    assert deadline.at is not None
    request = Request({"type": "http", "headers": [], "app": app, "state": {"deadline": deadline}})
    job = await until_over(request, state, "waiting", wait_s=600)
    assert job.status == "queued"
    assert time.monotonic() >= deadline.at


@pytest.mark.parametrize(("method", "path"), [("POST", "/evaluate"), ("PUT", "/references/mine")])
async def test_an_upload_that_does_not_come_in_time_is_504_and_leaves_nothing(
    app: Application, state: State, method: str, path: str
) -> None:
    caller = Caller([b"--x\r\n"], ends=False)
    headers = {"content-type": "multipart/form-data; boundary=x", "x-deadline-ms": "20"}
    await caller.ask(app, method, path, headers)
    assert caller.sent[0]["status"] == 504
    assert list((state.settings.state / "uploads").glob("*")) == []
    assert state.jobs.latest(1) == []
