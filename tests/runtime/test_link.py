import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from runtime.behind import Answering, Behind, Refusing
from waiting import eventually

from service.errors import Draining, EngineUnavailable, InvalidRequest, ModelNotFound, ServiceError
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.runtime.link import ConnectionLost, Link
from service.runtime.listener import Listener

CALL = Call("model", "classify", "0123", (("top", 3),))


@asynccontextmanager
async def linked(behind: Behind, folder: Path) -> AsyncIterator[tuple[Link, Listener]]:
    """A caller's end and an answering end of one socket."""
    listener = Listener(behind)
    await listener.listen(folder / "engine.sock")
    link = await Link.connect(folder / "engine.sock")
    yield link, listener
    link.close()
    await link.closed.wait()
    await listener.close()


async def submit(link: Link, array: Array) -> list[Array]:
    return await link.submit(CALL, [array], lane=Lane.BULK, deadline=12.5, request_id="r1")


async def test_what_is_asked_arrives_as_it_was_said(sockets: Path) -> None:
    async with linked(behind := Answering(), sockets) as (link, _):
        [answer] = await submit(link, np.arange(6.0).reshape(2, 3))
    [work] = behind.works
    assert (work.call, work.lane, work.deadline, work.request_id, work.rows) == (CALL, Lane.BULK, 12.5, "r1", 2)
    np.testing.assert_array_equal(answer, np.arange(6.0).reshape(2, 3))


async def test_many_are_in_flight_and_each_gets_its_own_answer(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        asked = [asyncio.create_task(submit(link, np.full((1, 2), number))) for number in range(100)]
        await asyncio.sleep(0)
        assert link.outstanding == 100
        await behind.answer_all(100)
        answers = await asyncio.gather(*asked)
        assert link.outstanding == 0
    assert [int(answer[0][0, 0]) for answer in answers] == list(range(100))


async def test_large_arrays_cross(sockets: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (40, 224, 224, 3), np.uint8)
    async with linked(Answering(), sockets) as (link, _):
        [answer] = await submit(link, large)
    np.testing.assert_array_equal(answer, large)


async def test_an_error_crosses_as_what_it_is(sockets: Path) -> None:
    error = InvalidRequest("seed: too small", errors=[{"field": "seed", "message": "too small"}])
    async with linked(Refusing(error), sockets) as (link, _):
        with pytest.raises(InvalidRequest, match="seed: too small") as raised:
            await submit(link, np.zeros(1))
    assert raised.value.errors == error.errors


async def test_cancelling_reaches_the_other_end(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        asked = asyncio.create_task(submit(link, np.zeros(1)))
        await behind.arrived.wait()
        asked.cancel()
        await behind.dropped.wait()
        assert behind.cancelled == behind.works
        behind.works[0].finish([np.zeros(1)])  # too late: nobody listens
        await asyncio.wait([asked])
        assert asked.cancelled()
        assert link.outstanding == 0


async def test_what_a_caller_asked_for_is_dropped_when_it_hangs_up(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        asked = asyncio.create_task(submit(link, np.zeros(1)))
        await behind.arrived.wait()
        link.close()
        await behind.dropped.wait()
        assert behind.cancelled == behind.works
        with pytest.raises(ConnectionLost):
            await asked


async def test_whatever_is_open_ends_when_the_other_end_dies(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, listener):
        asked = [asyncio.create_task(submit(link, np.zeros(1))) for _ in range(3)]
        await behind.arrived.wait()
        await listener.close()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ConnectionLost] * 3
        with pytest.raises(EngineUnavailable):
            await submit(link, np.zeros(1))


async def test_models_are_told_at_once_and_whenever_they_change(sockets: Path) -> None:
    told = asyncio.Event()
    behind = Behind(held={"echo": LoadedModel("1", "loading", "cpu")})
    listener = Listener(behind)
    await listener.listen(sockets / "engine.sock")
    link = await Link.connect(sockets / "engine.sock", told.set)
    await told.wait()
    assert link.models == {"echo": LoadedModel("1", "loading", "cpu")}
    told.clear()
    behind.held["echo"] = LoadedModel("1", "ready", "cpu")
    listener.send_status()
    await told.wait()
    assert link.models == {"echo": LoadedModel("1", "ready", "cpu")}
    link.close()
    await link.closed.wait()
    assert link.models == {}
    await listener.close()


async def test_models_are_loaded_and_unloaded_at_the_other_end(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        await link.load("echo")
        await link.unload("echo")
        behind.failure = ModelNotFound("nobody")
        with pytest.raises(ModelNotFound, match="nobody"):
            await link.load("nobody")
        behind.failure = OSError("a path that callers need not know")
        with pytest.raises(ServiceError, match=r"^echo cannot be loaded or unloaded\.$"):
            await link.load("echo")
    assert behind.commands == [("load", "echo"), ("unload", "echo"), ("load", "nobody"), ("load", "echo")]


async def test_a_stream_that_is_not_ours_is_hung_up_on(sockets: Path) -> None:
    async with linked(Behind(), sockets) as (link, _):
        reader, writer = await asyncio.open_unix_connection(sockets / "engine.sock")
        writer.write(b"\xff" * 100)
        while await reader.read(1000):
            pass
        writer.close()
        await writer.wait_closed()
        assert link.outstanding == 0


async def test_what_was_answered_is_forgotten_and_not_cancelled_when_its_caller_hangs_up(sockets: Path) -> None:
    async with linked(behind := Answering(), sockets) as (link, listener):
        await submit(link, np.zeros(1))
        link.close()
        await eventually(lambda: not listener.connections)
        assert len(behind.works) == 1
        assert behind.cancelled == []


async def test_a_socket_whose_file_was_removed_is_there_again_and_those_connected_stay_so(sockets: Path) -> None:
    listener = Listener(Answering(), check_s=0.01)
    path = sockets / "folder" / "engine.sock"
    await listener.listen(path)
    link = await Link.connect(path)
    for remove in (path.unlink, lambda: shutil.rmtree(path.parent), lambda: path.rename(sockets / "elsewhere")):
        remove()
        await eventually(path.exists)
        await eventually(lambda: listener.is_listening)
        again = await Link.connect(path)
        for each in (link, again):
            [answer] = await submit(each, np.arange(3))
            np.testing.assert_array_equal(answer, np.arange(3))
        again.close()
    link.close()
    await eventually(lambda: not listener.connections)
    await listener.close()


async def test_a_socket_that_cannot_be_made_anew_is_tried_until_it_can(
    sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(Answering(), check_s=0.01)
    path = sockets / "folder" / "engine.sock"
    await listener.listen(path)
    path.unlink()
    path.parent.rename(sockets / "elsewhere")
    path.parent.write_text("in the way")
    await eventually(lambda: f"cannot listen on {path}" in caplog.text)
    path.parent.unlink()
    await eventually(path.exists)
    link = await Link.connect(path)
    await submit(link, np.zeros(1))
    link.close()
    await eventually(lambda: not listener.connections)
    await listener.close()


async def test_all_that_is_open_can_be_ended_with_one_error_and_late_answers_are_dropped(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        asked = asyncio.create_task(submit(link, np.zeros(1)))
        await behind.arrived.wait()
        link.fail(Draining("no time"))
        with pytest.raises(Draining, match="no time"):
            await asked
        await behind.answer_all(1)
        behind.arrived.clear()
        again = asyncio.create_task(submit(link, np.ones(1)))
        await behind.answer_all(1)
        [answer] = await again
        assert answer.tolist() == [1]
