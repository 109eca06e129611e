import asyncio
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import doubles
import numpy as np
import pytest
from doubles import BAD, add_doubles, echoed, images
from runtime.behind import Answering, Behind
from waiting import PATIENCE_S, eventually

from service.errors import Draining, EngineUnavailable, ModelFailed
from service.processes.lifeline import END
from service.runtime import pool as module
from service.runtime.calls import PARTS_EACH, Call, Lane, LoadedModel, submit_parts
from service.runtime.duties import Duty, socket_of
from service.runtime.link import ConnectionLost, Link
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool
from service.runtime.work import Work

CALL = Call("model", "classify")


async def listening(behind: Behind, path: Path) -> Listener:
    listener = Listener(behind)
    await listener.listen(path)
    return listener


async def connected(pool: EnginePool, count: int) -> None:
    await eventually(lambda: len(pool._links) >= count)  # the pool has no word for it, its users need none


class Dying(Behind):
    """Hangs up on the first submissions, and answers later ones."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self.deaths = deaths
        self.listener: Listener | None = None

    def enqueue(self, work: Work) -> None:
        super().enqueue(work)
        if len(self.works) > self.deaths:
            work.finish(list(work.arrays))
            return
        assert self.listener is not None
        for connection in self.listener.connections:
            connection.close()


async def test_work_goes_to_the_engine_with_the_least_of_it(sockets: Path) -> None:
    behinds = [Behind(), Behind()]
    listeners = [await listening(behind, sockets / f"{place}.sock") for place, behind in enumerate(behinds)]
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"])
    await pool.start()
    await connected(pool, 2)
    assert pool.width() == 2
    asked = [asyncio.create_task(pool.submit(CALL, [np.zeros(1)])) for _ in range(6)]
    await asyncio.gather(*(behind.answer_all(3) for behind in behinds))
    await asyncio.gather(*asked)
    await pool.stop()
    for listener in listeners:
        await listener.close()


@pytest.mark.parametrize("deaths", [1, 2])
async def test_what_a_dying_engine_held_is_tried_once_more(sockets: Path, deaths: int) -> None:
    dying = Dying(deaths)
    dying.listener = await listening(dying, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    asked = asyncio.create_task(pool.submit(CALL, [np.arange(3)]))
    if deaths == 1:
        [answer] = await asked
        np.testing.assert_array_equal(answer, np.arange(3))
    else:
        with pytest.raises(ConnectionLost):
            await asked
    assert len(dying.works) == 2
    await pool.stop()
    await dying.listener.close()


async def test_what_an_engine_died_of_that_does_not_come_back_is_told_from_work_that_none_has_had(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WAIT_FOR_ENGINE_S", "WAIT_FOR_THE_NEXT_S"):
        monkeypatch.setattr(module, name, 0.01)
    behind = Behind()
    listener = await listening(behind, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    await connected(pool, 1)
    asked = asyncio.create_task(pool.submit(CALL, [np.arange(3)]))
    await eventually(lambda: behind.works)
    await listener.close()
    with pytest.raises(ConnectionLost):
        await asked
    with pytest.raises(EngineUnavailable) as none_has_had_it:
        await pool.submit(CALL, [np.arange(3)])
    assert not isinstance(none_has_had_it.value, ConnectionLost)
    await pool.stop()


async def test_what_a_dying_engine_held_goes_to_another(sockets: Path) -> None:
    dying, other = Dying(100), Answering()
    dying.listener = await listening(dying, sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"])
    await pool.start()
    await connected(pool, 1)
    listener = await listening(other, sockets / "1.sock")
    await connected(pool, 2)
    answers = await asyncio.gather(*(pool.submit(CALL, [np.full(1, number)]) for number in range(8)))
    assert [int(answer[0]) for [answer] in answers] == list(range(8))
    assert len(dying.works) >= 1
    await pool.stop()
    for each in (dying.listener, listener):
        await each.close()


async def test_work_waits_for_an_engine_that_is_on_its_way(sockets: Path) -> None:
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    asked = asyncio.create_task(pool.submit(CALL, [np.arange(3)]))
    await asyncio.sleep(0)
    listener = await listening(Answering(), sockets / "0.sock")
    [answer] = await asked
    np.testing.assert_array_equal(answer, np.arange(3))
    await pool.stop()
    await listener.close()


async def test_without_an_engine_nothing_waits_for_ever(sockets: Path) -> None:
    pool = EnginePool([sockets / "0.sock"])
    await pool.start()
    ways = (pool.submit(CALL, [np.arange(3)]), pool.load("echo"), pool.unload("echo"))
    outcomes = await asyncio.gather(*ways, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 3
    await pool.stop()


async def test_every_engine_loads_and_the_readiest_state_is_told(sockets: Path) -> None:
    behinds = [
        Behind(held={"echo": LoadedModel("1", "loading", "cpu"), "slow": LoadedModel("2", "ready", "cpu")}),
        Behind(held={"echo": LoadedModel("1", "ready", "cpu"), "slow": LoadedModel("2", "loading", "cpu")}),
    ]
    listeners = [await listening(behind, sockets / f"{place}.sock") for place, behind in enumerate(behinds)]
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"])
    told = asyncio.Event()
    pool.on_status = told.set
    await pool.start()
    await connected(pool, 2)
    await pool.load("echo")
    await pool.unload("echo")
    assert [behind.commands for behind in behinds] == [[("load", "echo"), ("unload", "echo")]] * 2
    assert told.is_set()
    assert {name: loaded.state for name, loaded in pool.models().items()} == {"echo": "ready", "slow": "ready"}
    await pool.stop()
    for listener in listeners:
        await listener.close()


async def test_a_new_engine_is_told_what_to_hold_each_time_it_comes(sockets: Path) -> None:
    behind = Behind()
    loaded = asyncio.Queue[str]()

    async def converge(link: Link) -> None:
        await link.load("echo")
        loaded.put_nowait("echo")

    pool = EnginePool([sockets / "0.sock"], on_connect=converge)
    await pool.start()
    for _ in range(2):
        listener = await listening(behind, sockets / "0.sock")
        await loaded.get()
        await listener.close()
    assert behind.commands == [("load", "echo")] * 2
    await pool.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("doubles")
async def test_a_model_that_kills_its_engine_fails_its_callers_and_nobody_later(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_doubles(sockets / "store")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()), prepend=os.pathsep)
    read, write = os.pipe()

    def start() -> "subprocess.Popen[bytes]":
        places = ["--store", str(sockets / "store"), "--socket", str(sockets / "engine.sock")]
        program = [sys.executable, str(Path(doubles.__file__)), *places, "--parent-pipe", str(read)]
        return subprocess.Popen(program, pass_fds=[read], stderr=subprocess.DEVNULL)

    engine = start()
    pool = EnginePool([sockets / "engine.sock"])
    await pool.start()
    await connected(pool, 1)
    [echo] = await pool.submit(Call("crashing", "classify"), [images(7)])
    np.testing.assert_allclose(echo, echoed(7), atol=1e-6)
    with pytest.raises(ModelFailed):
        await pool.submit(Call("failing", "classify"), [images(BAD)])
    with pytest.raises(EngineUnavailable):
        await pool.submit(Call("crashing", "classify"), [images(BAD)])
    assert await asyncio.to_thread(engine.wait, PATIENCE_S) == -9
    engine = start()
    await connected(pool, 1)
    [echo] = await pool.submit(Call("crashing", "classify"), [images(8)])
    np.testing.assert_allclose(echo, echoed(8), atol=1e-6)
    await pool.stop()
    engine.send_signal(END)
    assert await asyncio.to_thread(engine.wait, PATIENCE_S) == 0
    engine = start()
    os.close(write)
    os.close(read)
    assert await asyncio.to_thread(engine.wait, PATIENCE_S) == 1


async def test_that_an_engine_was_lost_is_told_at_once(sockets: Path) -> None:
    listener = await listening(Behind(held={"echo": LoadedModel("1", "ready", "cpu")}), sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock"])
    told = asyncio.Event()
    pool.on_status = told.set
    await pool.start()
    await asyncio.wait_for(told.wait(), PATIENCE_S)
    assert pool.models().keys() == {"echo"}
    [link] = pool._links
    told.clear()
    await listener.close()
    await asyncio.wait_for(link.closed.wait(), PATIENCE_S)
    assert told.is_set()
    assert pool.models() == {}
    await pool.stop()


async def test_a_pool_that_gives_up_answers_what_is_open_what_waits_and_what_still_comes(sockets: Path) -> None:
    behind = Behind()
    listener = await listening(behind, sockets / "0.sock")
    pool, unconnected = EnginePool([sockets / "0.sock"]), EnginePool([sockets / "1.sock"])
    await pool.start()
    await unconnected.start()
    asked = [asyncio.create_task(each.submit(CALL, [np.zeros(1)])) for each in (pool, unconnected)]
    await behind.arrived.wait()
    for each in (pool, unconnected):
        each.give_up(Draining("no time"))
    asked += [asyncio.create_task(each.submit(CALL, [np.zeros(1)])) for each in (pool, unconnected)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no time"] * 4
    await pool.stop()
    await unconnected.stop()
    await listener.close()


async def test_work_goes_where_the_engines_say_that_fewest_rows_wait(sockets: Path) -> None:
    behinds = [Behind(waiting=20), Behind(waiting=3), Behind(waiting=9)]
    paths = [sockets / f"{place}.sock" for place in range(3)]
    listeners = [await listening(behind, path) for behind, path in zip(behinds, paths, strict=True)]
    pool = EnginePool(paths)
    await pool.start()
    await connected(pool, 3)
    await eventually(lambda: sorted(link.rows_waiting for link in pool._links) == [3, 9, 20])
    asked = [asyncio.create_task(pool.submit(CALL, [np.zeros(4)])) for _ in range(4)]
    await eventually(lambda: sum(len(behind.works) for behind in behinds) == 4)
    assert [len(behind.works) for behind in behinds] == [0, 3, 1]  # 3, 7, then 9 or 11: what was sent counts, too
    for behind in behinds:
        behind.waiting = 0
        await behind.answer_all(0)
    await asyncio.gather(*asked)
    await eventually(lambda: [link.rows_waiting for link in pool._links] == [0, 0, 0])
    await pool.stop()
    for listener in listeners:
        await listener.close()


@pytest.mark.parametrize(("state", "most"), [("loading", 0), ("", 1), ("ready", 3)])
async def test_an_engine_that_has_just_begun_is_not_given_all_that_comes_while_it_loads(
    sockets: Path, state: str, most: int
) -> None:
    new = Behind(held={CALL.model: LoadedModel("1", state, "cpu")} if state else {})
    warm = Behind(held={CALL.model: LoadedModel("1", "ready", "cpu")}, waiting=7)
    listeners = [await listening(behind, sockets / f"{place}.sock") for place, behind in enumerate((new, warm))]
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"])
    await pool.start()
    await connected(pool, 2)
    await eventually(lambda: sorted(link.rows_waiting for link in pool._links) == [0, 7])
    asked = [asyncio.create_task(pool.submit(CALL, [np.zeros(3)])) for _ in range(3)]
    await eventually(lambda: len(new.works) + len(warm.works) == len(asked))
    assert len(new.works) == most  # 8 rows and 7, 8 and 10, then 11 and 10: a cold one counts as eight rows busier
    new.waiting = warm.waiting = 0
    await asyncio.gather(*(behind.answer_all(0) for behind in (new, warm)), *asked)
    await pool.stop()
    for listener in listeners:
        await listener.close()


async def test_one_piece_of_work_in_parts_keeps_every_engine_busy_and_comes_back_in_order(sockets: Path) -> None:
    behinds = [Behind() for _ in range(4)]
    paths = [sockets / f"{place}.sock" for place in range(4)]
    listeners = [await listening(behind, path) for behind, path in zip(behinds, paths, strict=True)]
    pool = EnginePool(paths)
    await pool.start()
    await connected(pool, 4)

    async def ask() -> list[int]:
        parts = ([np.full((4, 1), number)] for number in range(20))
        return [int(answer[0, 0]) async for [answer] in submit_parts(pool, CALL, parts, lane=Lane.BULK)]

    asked = asyncio.create_task(ask())
    await eventually(lambda: sum(len(behind.works) for behind in behinds) == 4 * PARTS_EACH)
    assert min(len(behind.works) for behind in behinds) >= 1
    while not asked.done():
        for behind in behinds:
            await behind.answer_all(0)
        await asyncio.sleep(0)
    assert await asked == list(range(20))
    await pool.stop()
    for listener in listeners:
        await listener.close()


async def test_engines_that_are_equally_busy_are_chosen_at_random(sockets: Path) -> None:
    behinds = [Answering(), Answering()]
    listeners = [await listening(behind, sockets / f"{place}.sock") for place, behind in enumerate(behinds)]
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"])
    await pool.start()
    await connected(pool, 2)
    for _ in range(60):
        await pool.submit(CALL, [np.zeros(1)])
    assert min(len(behind.works) for behind in behinds) > 10
    await pool.stop()
    for listener in listeners:
        await listener.close()


def said(link: Link, rows: int) -> bool:
    return link.rows_waiting == rows


async def test_an_idle_caller_hears_what_others_left_waiting(sockets: Path) -> None:
    behind = Behind()
    listener = Listener(behind, check_s=0.01)
    await listener.listen(sockets / "0.sock")
    link = await Link.connect(sockets / "0.sock")
    for waiting in (7, 0):
        behind.waiting = waiting
        await eventually(partial(said, link, waiting))
    link.close()
    await eventually(lambda: not listener.connections)
    await listener.close()


async def test_an_engine_that_misses_its_beats_has_nothing_ready_and_gets_no_work_beside_another(sockets: Path) -> None:
    held = {"echo": LoadedModel("1", "ready", "cpu")}
    behinds = [Behind(dict(held)), Answering(dict(held))]
    silent, beating = (Listener(behind, check_s=0.01, beats=behind is behinds[1]) for behind in behinds)
    await silent.listen(sockets / "0.sock")
    pool = EnginePool([sockets / "0.sock", sockets / "1.sock"], silence_s=1.0)
    await pool.start()
    await eventually(lambda: pool.models().get("echo") == LoadedModel("1", "silent", "cpu"))
    await beating.listen(sockets / "1.sock")
    await eventually(lambda: pool.models()["echo"].state == "ready")
    for _ in range(10):
        await pool.submit(CALL, [np.zeros(1)])
    assert behinds[0].works == []
    assert pool.width() == 1
    await pool.stop()
    assert pool.width() == 1
    await silent.close()
    await beating.close()


async def test_forecasts_go_to_the_engine_that_is_there_for_them_and_to_others_while_it_is_away(sockets: Path) -> None:
    duties = {Duty.OTHERS: Answering(), Duty.FORECASTS: Answering()}
    places = {duty: socket_of(sockets, number, duty) for number, duty in enumerate(duties)}
    listeners = {duty: await listening(behind, places[duty]) for duty, behind in duties.items()}
    pool = EnginePool(list(places.values()))
    await pool.start()
    await connected(pool, 2)
    for verb in ("classify", "forecast", "generate", "fit", "continue"):
        await pool.submit(Call("model", verb), [np.zeros(1)])
    done = {duty: [work.call.verb for work in behind.works] for duty, behind in duties.items()}
    assert done == {Duty.OTHERS: ["classify", "generate"], Duty.FORECASTS: ["forecast", "fit", "continue"]}
    await listeners[Duty.FORECASTS].close()
    await eventually(lambda: len(pool._links) == 1)
    await pool.submit(Call("model", "forecast"), [np.zeros(1)])
    assert duties[Duty.OTHERS].works[-1].call.verb == "forecast"
    await pool.stop()
    await listeners[Duty.OTHERS].close()
