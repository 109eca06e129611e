"""Long work pauses: what is short goes first, hanging up ends it, and no number depends on either."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import Slow, add_forecaster, images, worked_on
from runtime.submitting import ECHO, SLOW, ask, start, turns
from waiting import eventually

from service.errors import DeadlineExceeded, Overloaded
from service.nets.pauses import pause, pausing
from service.runtime.calls import Array, Call, Lane
from service.runtime.in_process import LocalEngine
from service.store import ModelStore

OCCLUSION = Call("slow", "explain", options=(("method", "occlusion"), ("square", 1)))
PLACES = 4
"""Of a square of one pixel in an image of four, which AT_ONCE takes in one pass after the first, of the label."""


def explain(engine: LocalEngine, first: int, *, deadline: float | None = None) -> "asyncio.Task[list[Array]]":
    return asyncio.create_task(engine.submit(OCCLUSION, [images(first)], deadline=deadline))


async def test_short_work_goes_first_at_the_next_layer(engine: LocalEngine) -> None:
    await engine.load("echo")
    long = explain(engine, 9)
    await eventually(Slow.entered.is_set)
    short = start(engine, ECHO, 1)
    await turns()
    Slow.let_go.set()
    await short
    await long
    assert worked_on()[:2] == [[9], [1]]
    assert sum(map(len, worked_on()[2:])) <= PLACES, "the places came after"


async def test_no_number_depends_on_what_came_between(engine: LocalEngine) -> None:
    Slow.let_go.set()
    alone = await explain(engine, 9)
    beside = explain(engine, 9)
    await asyncio.gather(*(ask(engine, ECHO, first) for first in range(1, 30)))
    for one, other in zip(alone, await beside, strict=True):
        np.testing.assert_array_equal(one, other)


async def test_hanging_up_ends_it_at_the_next_pause(engine: LocalEngine) -> None:
    await engine.load("echo")
    long = explain(engine, 9)
    await eventually(Slow.entered.is_set)
    long.cancel()
    await turns()
    Slow.let_go.set()
    await ask(engine, ECHO, 1)
    assert worked_on() == [[9], [1]], "no place was looked at"


async def test_a_deadline_ends_it_at_the_next_pause(engine: LocalEngine) -> None:
    await engine.load("echo")
    patience_s = 0.05
    while not Slow.entered.is_set():  # on a busy machine the deadline may pass before it has begun
        patience_s *= 2
        long = explain(engine, 9, deadline=time.monotonic() + patience_s)
        await eventually(lambda task=long: Slow.entered.is_set() or task.done())  # type: ignore[misc]
        with pytest.raises(DeadlineExceeded):
            await long
    Slow.let_go.set()
    await ask(engine, ECHO, 1)
    assert worked_on() == [[9], [1]]


async def test_short_work_of_the_same_model_does_not_wait_behind_long_work(engine: LocalEngine) -> None:
    await engine.load("slow")
    long = explain(engine, 9)
    await eventually(Slow.entered.is_set)
    more, short = explain(engine, 8), start(engine, SLOW, 1)
    await turns()
    Slow.let_go.set()
    await asyncio.gather(long, more, short)
    firsts = [batch[0] for batch in worked_on()]
    assert firsts.index(1) < firsts.index(8)


async def test_long_work_fills_its_lane_sooner(store: ModelStore) -> None:
    async with LocalEngine(store, threads=1, queue_limit=64) as engine:
        await engine.load("slow")
        running = explain(engine, 9)
        await eventually(Slow.entered.is_set)
        waiting = [explain(engine, 9) for _ in range(4)]
        await turns()
        with pytest.raises(Overloaded):
            await explain(engine, 9)
        short = [start(engine, SLOW, 1) for _ in range(50)]
        Slow.let_go.set()
        await asyncio.gather(running, *waiting, *short)


async def test_an_engine_that_stops_finishes_what_is_long(store: ModelStore) -> None:
    async with LocalEngine(store, threads=1) as engine:
        await engine.load("slow")
        long = explain(engine, 9)
        await eventually(Slow.entered.is_set)
        Slow.let_go.set()
    assert len((await long)[0]) == 1


async def test_a_forecaster_pauses_while_it_hears_and_while_it_goes_on(engine: LocalEngine, models_dir: Path) -> None:
    add_forecaster(models_dir)
    values = np.sin(np.arange(600) / 5)[None, :, None]
    inputs = np.zeros((1, 610, 0))
    for verb in ("fit", "forecast"):
        alone = await engine.submit(Call("murmur", verb), [values, inputs])
        long = asyncio.create_task(engine.submit(Call("murmur", verb), [values, inputs]))
        while not long.done():
            await ask(engine, ECHO, 1)
        for one, other in zip(alone, await long, strict=True):
            np.testing.assert_array_equal(one, other)


async def test_bulk_work_is_not_starved_by_long_work(engine: LocalEngine) -> None:
    await engine.load("slow")
    await engine.load("echo")
    long = [explain(engine, 9) for _ in range(3)]
    await eventually(Slow.entered.is_set)
    bulk = start(engine, ECHO, *[2] * 4, lane=Lane.BULK)
    await turns()
    Slow.let_go.set()
    await asyncio.gather(bulk, *long)
    firsts = [batch[0] for batch in worked_on()]
    assert firsts.index(2) < len(firsts) - 1


def test_a_pause_is_nothing_where_nobody_wants_one() -> None:
    pause()
    calls: list[int] = []

    def note() -> None:
        calls.append(len(calls))
        pause()

    with pausing(note):
        pause()
        pause()
    pause()
    assert calls == [0, 1]


def test_what_is_made_in_a_pause_is_not_bound_to_the_inference_that_pauses() -> None:
    place = torch.zeros(1)

    def begin() -> None:
        nonlocal place
        place = torch.zeros(2)

    with torch.inference_mode(), pausing(begin):
        pause()
        assert torch.is_inference_mode_enabled()
    place.copy_(torch.ones(2))  # as the next batch in the same place does
    assert place.tolist() == [1, 1]
