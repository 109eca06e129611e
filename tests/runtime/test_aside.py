"""A model in which an engine hung gets no work for a while, and everybody else does."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from doubles import Slow, echoed
from runtime.behind import Behind
from runtime.submitting import ECHO, FAILING, SLOW, ask, hold, start, turns
from waiting import eventually

from service.errors import ModelSetAside
from service.runtime.aside import Aside, AsideModels, read, written
from service.runtime.calls import SET_ASIDE
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import OwnEngine
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool
from service.store import Model, ModelStore
from service.telemetry.instruments import Instruments

HOUR_S = 3600.0


class Clock:
    """The time as a test says it is."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_model_is_set_aside_in_one_version_until_its_time_is_over() -> None:
    clock = Clock()
    models = AsideModels(clock)
    models.put(Aside("echo", "1", 60.0))
    with pytest.raises(ModelSetAside, match="echo gets no work now: a forward pass of it did not end") as refused:
        models.check("echo", lambda: "1")
    assert refused.value.problem()["retry_after_s"] == 60.0
    models.check("echo", lambda: "2")
    models.check("slow", lambda: "1")
    assert list(models) == [("echo", "1")]
    clock.now += 60
    assert list(models) == []
    models.check("echo", lambda: "1")


def test_where_nobody_knows_the_version_any_is_meant_and_no_seconds_take_it_back() -> None:
    models = AsideModels()
    models.put(Aside("echo", "", HOUR_S))
    with pytest.raises(ModelSetAside):
        models.check("echo", lambda: "2")
    models.put(Aside("echo", "", 0.0))
    models.check("echo", lambda: "2")


def test_what_is_set_aside_fits_into_one_word_of_a_command_line() -> None:
    models = [Aside("echo", "1", 60.5), Aside('a "name"', "", 1.0)]
    assert read(written(models)) == models
    assert read(written([])) == []


@pytest.fixture
async def engine(store: ModelStore) -> Engine:
    return Engine(store, Device("cpu", threads=1), instruments=Instruments())


async def test_an_engine_refuses_a_model_that_is_set_aside_and_does_what_others_want(
    engine: Engine, models_dir: Path
) -> None:
    version = Model(models_dir / "echo").version
    async with OwnEngine(engine) as asked:
        await engine.set_aside(Aside("echo", version, HOUR_S))
        for _ in range(2):
            with pytest.raises(ModelSetAside):
                await ask(asked, ECHO, 1)
        with pytest.raises(ModelSetAside):
            await engine.load("echo")
        np.testing.assert_allclose(await ask(asked, FAILING, 1), echoed(1), atol=1e-6)
        assert {name: held.state for name, held in engine.models().items()} == {"echo": SET_ASIDE, "failing": "ready"}
        await engine.set_aside(Aside("echo", "", 0.0))
        np.testing.assert_allclose(await ask(asked, ECHO, 1), echoed(1), atol=1e-6)
        assert engine.models()["echo"].state == "ready"


async def test_another_version_of_a_model_that_is_set_aside_gets_work(engine: Engine) -> None:
    async with OwnEngine(engine) as asked:
        await engine.load("echo")
        await engine.set_aside(Aside("echo", "an earlier one", HOUR_S))
        np.testing.assert_allclose(await ask(asked, ECHO, 1), echoed(1), atol=1e-6)
        assert engine.models()["echo"].state == "ready"


async def test_what_waits_for_a_model_that_is_set_aside_is_refused(engine: Engine) -> None:
    async with OwnEngine(engine) as asked:
        held = await hold(asked)
        waiting = [start(asked, SLOW, first) for first in (1, 2)]
        await turns()
        await engine.set_aside(Aside("slow", "", HOUR_S))
        came = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in came] == [ModelSetAside] * 2
        Slow.let_go.set()
        np.testing.assert_allclose(await held, echoed(250), atol=1e-6)


async def test_who_asks_for_a_model_is_told_that_it_is_so_no_more(engine: Engine) -> None:
    changes: list[int] = []
    engine.on_change.append(lambda: changes.append(len(engine.models())))
    async with OwnEngine(engine):
        await engine.set_aside(Aside("echo", "", 0.05))
        await eventually(lambda: changes[-1:] == [0])
    assert changes[0] == 1


async def test_all_engines_that_are_there_are_told_whatever_they_can(engine: Engine, sockets: Path) -> None:
    listeners = [Listener(engine), Listener(Behind())]
    engine.on_change.append(listeners[0].send_status)
    paths = [sockets / f"{place}.sock" for place in range(2)]
    for listener, path in zip(listeners, paths, strict=True):
        await listener.listen(path)
    pool = EnginePool(paths)
    await pool.start()
    await eventually(lambda: len(pool._links) == 2)
    await pool.set_aside(Aside("echo", "", HOUR_S))
    await eventually(lambda: pool.models().keys() == {"echo"})
    assert pool.models()["echo"].state == SET_ASIDE
    await pool.stop()
    for listener in listeners:
        await listener.close()
