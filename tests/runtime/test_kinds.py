"""What belongs together is computed on one kind of device, whatever else there is and whatever dies meanwhile."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from runtime.behind import Answering
from waiting import eventually

from service.errors import EngineUnavailable
from service.runtime.calls import Call, Engines, Lane, LoadedModel
from service.runtime.in_process import LocalEngine
from service.runtime.kinds import of_one_kind
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool

CALL = Call("echo", "features")


def holding(kind: str) -> Answering:
    """An engine on a device of this kind, or one that holds nothing and so does not say."""
    held = {"echo": LoadedModel("1", "ready", "device", kind=kind)} if kind else {}
    return Answering(held=held)


async def listening(behinds: list[Answering], folder: Path) -> tuple[EnginePool, list[Listener]]:
    sockets = [folder / f"all-{number}.sock" for number in range(len(behinds))]
    listeners = [Listener(behind) for behind in behinds]
    for listener, socket in zip(listeners, sockets, strict=True):
        await listener.listen(socket)
    pool = EnginePool(sockets)
    await pool.start()
    said = sum(bool(behind.held) for behind in behinds)
    await eventually(
        lambda: len(pool._links) == len(behinds) and sum(bool(link.models) for link in pool._links) == said
    )
    return pool, listeners


async def ask(engines: Engines, times: int) -> None:
    asked = [engines.submit(CALL, [np.zeros(1)], lane=Lane.BULK) for _ in range(times)]
    await asyncio.gather(*asked)


async def stop(pool: EnginePool, listeners: list[Listener]) -> None:
    await pool.stop()
    for listener in listeners:
        await listener.close()


async def test_one_piece_of_work_is_done_on_one_kind_by_all_of_it(sockets: Path) -> None:
    behinds = [holding(kind) for kind in ("a card", "a card", "cpu", "cpu")]
    pool, listeners = await listening(behinds, sockets)
    engines = of_one_kind(pool)
    for _ in range(20):
        await ask(engines, 4)
    counts = [len(behind.works) for behind in behinds]
    assert sorted([sum(counts[:2]), sum(counts[2:])]) == [0, 80]
    assert sum(count > 0 for count in counts) == 2
    [loaded] = engines.models().values()
    assert loaded.kind == ("a card" if counts[0] else "cpu")
    await stop(pool, listeners)


async def test_what_was_begun_on_a_kind_waits_for_it_and_is_not_mixed(sockets: Path) -> None:
    behinds = [holding(kind) for kind in ("a card", "cpu")]
    pool, listeners = await listening(behinds, sockets)
    engines = of_one_kind(pool)
    await ask(engines, 3)
    first = next(place for place, behind in enumerate(behinds) if behind.works)
    await listeners[first].close()
    await eventually(lambda: len(pool._links) == 1)
    with pytest.raises(EngineUnavailable, match="is mixed with no other"):
        await ask(engines, 1)
    await ask(pool, 1)
    assert engines.models() == {}
    await stop(pool, listeners)


async def test_as_long_as_nobody_says_what_it_is_one_engine_does_it_alone(sockets: Path) -> None:
    behinds = [holding("") for _ in range(3)]
    pool, listeners = await listening(behinds, sockets)
    await ask(of_one_kind(pool), 30)
    assert sorted(len(behind.works) for behind in behinds) == [0, 0, 30]
    await stop(pool, listeners)


def test_an_engine_alone_is_of_one_kind(engine: LocalEngine) -> None:
    assert of_one_kind(engine) is engine
