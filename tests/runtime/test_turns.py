"""Whose turn it is on the device, and what is left behind by work whose time has passed."""

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from doubles import BAD, Slow, images, worked_on
from runtime.submitting import ECHO, FAILING, SLOW, ask, hold, start, turns
from waiting import PATIENCE_S

from service.errors import DeadlineExceeded, EngineUnavailable, ServiceError
from service.runtime import engine as module
from service.runtime.calls import Array, Lane
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.turns import TURN, Turns
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments


class Unplugged(Device):
    """A device that is lost once a net has failed on it."""

    def is_lost(self, error: BaseException) -> bool:
        """Whether a net failed."""
        return isinstance(error, ArithmeticError)


async def test_between_two_blocks_of_bulk_work_interactive_work_has_all_its_turns(engine: LocalEngine) -> None:
    held = await hold(engine)
    interactive = start(engine, SLOW, *[1] * 8 * 3 * TURN)
    bulk = start(engine, SLOW, *[2] * 4 * 3, lane=Lane.BULK)
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, interactive, bulk)
    lanes = "".join("b" if batch[0] == 2 else "i" for batch in worked_on())
    assert [len(row) for row in lanes.split("b")] == [TURN, TURN, TURN, 1]


@pytest.mark.parametrize("lane", Lane)
async def test_models_that_are_all_busy_take_turns(engine: LocalEngine, lane: Lane) -> None:
    for call in (ECHO, FAILING):
        await engine.load(call.model)
    held = await hold(engine)
    waiting = [start(engine, call, *[first] * 40, lane=lane) for call, first in ((ECHO, 1), (FAILING, 2))]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, *waiting)
    firsts = [batch[0] for batch in worked_on()[1:]]
    assert sorted(set(firsts)) == [1, 2]
    assert all(first != second for first, second in pairwise(firsts))


async def test_callers_of_one_batch_that_come_back_one_by_one_share_the_next(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SHARE", 10**6)  # so that a moment is long enough on any machine
    monkeypatch.setattr(module, "LINGER_PAUSE_S", PATIENCE_S)
    both = [await hold(engine), start(engine, SLOW, 1), start(engine, SLOW, 2)]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(*both)
    first = start(engine, SLOW, 3)
    await turns(2)  # the device has heard of it
    second = start(engine, SLOW, 4)
    await asyncio.gather(first, second)
    assert worked_on() == [[250], [1, 2], [3, 4]]


async def test_a_lost_device_ends_the_engine_with_what_it_died_of(store: ModelStore) -> None:
    engine = Engine(store, Unplugged("cpu", threads=1), instruments=Instruments())
    serving = await engine.start()
    answered: asyncio.Future[list[Array] | ServiceError] = asyncio.get_running_loop().create_future()

    def work() -> Work:
        return Work(FAILING, [images(BAD)], 1, Lane.INTERACTIVE, None, "", answered.set_result)

    engine.enqueue(work())
    either: set[asyncio.Future[Any]] = {serving, answered}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    assert not answered.done()  # its connection breaks with the process, and another engine gets it
    assert isinstance(serving.exception(), ArithmeticError)
    engine.enqueue(work())
    assert isinstance(answered.result(), EngineUnavailable)
    await engine.stop()


async def test_work_whose_deadline_passed_makes_room_for_other_work(engine: LocalEngine) -> None:
    held = await hold(engine)
    with pytest.raises(DeadlineExceeded):
        await engine.submit(SLOW, [images(*range(1, 65))], deadline=time.monotonic() - 1)
    in_time = start(engine, SLOW, *range(1, 65))
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, in_time)


async def test_what_is_answered_or_given_up_is_not_kept_until_its_deadline(engine: LocalEngine) -> None:
    later = time.monotonic() + 10_000
    answered, given_up = images(1), images(2)
    kept = [weakref.ref(answered), weakref.ref(given_up)]
    await engine.submit(ECHO, [answered], deadline=later)
    held = await hold(engine)
    waiting = asyncio.create_task(engine.submit(ECHO, [given_up], deadline=later))
    await turns()
    waiting.cancel()
    await asyncio.wait([waiting])
    Slow.let_go.set()
    await held
    await ask(engine, ECHO, 3)
    del answered, given_up, waiting
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


@pytest.mark.parametrize("beside_long_work", [False, True])
async def test_nobody_waits_for_a_turn_that_a_stopped_device_never_gives(*, beside_long_work: bool) -> None:
    thread, let_go = ThreadPoolExecutor(1), threading.Event()
    turning = Turns(thread)
    if beside_long_work:
        under_way: asyncio.Future[bool] = asyncio.ensure_future(turning.long(lambda: True, let_go.wait))
        await turns()
    else:
        under_way = turning.short(let_go.wait)
    never = turning.short(str)
    thread.shutdown(wait=False, cancel_futures=True)
    let_go.set()
    with pytest.raises(EngineUnavailable):
        await never
    assert await under_way
