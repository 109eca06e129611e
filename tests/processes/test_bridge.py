"""An engine process that passes everything on to a cluster, over its unix socket and engines of doubles."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from doubles import FakeEngine, Unanswering, echoed, images
from waiting import eventually

from service.errors import EngineUnavailable, ModelNotFound, ServiceError
from service.processes.bridge import Bridge
from service.runtime.calls import Call, LoadedModel
from service.runtime.cards.naming import devices_of
from service.runtime.kinds import of_one_kind
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool

LABELS = Call("echo", "classify")


async def asked(bridge: Bridge, socket: Path, call: Call) -> list[np.ndarray]:
    """What a caller at the socket is answered."""
    listener, pool = Listener(bridge), EnginePool([socket])
    await listener.listen(socket)
    await pool.start()
    try:
        return await pool.submit(call, [images(3)])
    finally:
        await bridge.finish()
        await pool.stop()
        await listener.close()


async def test_work_and_answers_cross_it(sockets: Path) -> None:
    engine = FakeEngine([echoed(3)], {"echo": LoadedModel("v1", "ready", "cuda:0")})
    bridge = Bridge(engine, engine)
    [logits] = await asked(bridge, sockets / "cluster.sock", LABELS)
    np.testing.assert_array_equal(logits, echoed(3))
    assert bridge.models() == engine.models()
    assert bridge.rows_waiting() == 0


@pytest.mark.parametrize(
    ("met", "told"), [(ModelNotFound("No echo."), ModelNotFound), (OSError("no route"), EngineUnavailable)]
)
async def test_what_the_cluster_meets_is_told(sockets: Path, met: Exception, told: type[ServiceError]) -> None:
    engine = FakeEngine(met)
    with pytest.raises(told):
        await asked(Bridge(engine, engine), sockets / "cluster.sock", LABELS)


async def test_it_is_as_wide_as_the_cluster(sockets: Path) -> None:
    engine = FakeEngine(held={"echo": LoadedModel("v1", "ready", "cuda:0")}, width=lambda: 3)
    listener, pool = Listener(Bridge(engine, engine), width=engine.width), EnginePool([sockets / "cluster.sock"])
    await listener.listen(sockets / "cluster.sock")
    await pool.start()
    await eventually(pool.models)
    assert pool.width() == of_one_kind(pool).width() == 3
    await pool.stop()
    await listener.close()


async def test_loading_is_passed_on() -> None:
    engine = FakeEngine()
    bridge = Bridge(engine, engine)
    await bridge.load("echo")
    await bridge.unload("echo")
    assert engine.commands == [("load", "echo"), ("unload", "echo")]


async def test_who_hangs_up_cancels_what_was_passed_on(sockets: Path) -> None:
    engine = Unanswering()
    task = asyncio.create_task(asked(Bridge(engine, engine), sockets / "cluster.sock", LABELS))
    await engine.asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await engine.dropped.wait()


def test_a_cluster_is_one_device() -> None:
    assert devices_of("ray") == (["ray"], "")
