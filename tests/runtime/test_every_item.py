"""The first promise: whatever happens, every submission ends exactly once, with its own rows or a reason."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from doubles import BAD, echoed, images, likely
from runtime.behind import Answering
from waiting import eventually

from service.errors import DeadlineExceeded, EngineUnavailable, ModelFailed, Overloaded
from service.runtime.calls import Call, EngineClient, Lane
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments

SUBMISSIONS = 300


async def one(engine: EngineClient, draw: random.Random) -> str:
    """Submit something random and say how it ended; anything wrong raises."""
    firsts = [draw.randint(1, BAD - 1) for _ in range(draw.choice([1, 1, 1, 2, 5, 9, 17]))]
    bad = draw.random() < 0.1
    if bad:
        firsts[draw.randrange(len(firsts))] = BAD
    call = Call("failing", draw.choice(["classify", "classify", "features"]))
    late = draw.random() < 0.1
    deadline = time.monotonic() - 1 if late else draw.choice([None, time.monotonic() + 1000])
    lane = draw.choice([Lane.INTERACTIVE, Lane.INTERACTIVE, Lane.BULK])
    patience = draw.choice([None, None, None, draw.randint(0, 30)])
    asking = asyncio.create_task(engine.submit(call, [images(*firsts)], lane=lane, deadline=deadline))
    if patience is not None:
        for _ in range(patience):
            await asyncio.sleep(0)
        asking.cancel()
    try:
        *features, found = await asking
    except ModelFailed:
        assert bad
        return "failed"
    except DeadlineExceeded:
        assert late
        return "late"
    except Overloaded:
        return "refused"
    except asyncio.CancelledError:
        assert patience is not None
        return "cancelled"
    assert not bad
    assert not late
    expected = likely(*firsts) if features else echoed(*firsts)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    return "answered"


async def many(engine: EngineClient, draw: random.Random) -> Counter[str]:
    """Submit from several callers, some of them all at once."""

    async def caller(share: int) -> list[str]:
        ends = []
        for _ in range(share):
            together = draw.randint(1, 6)
            ends += await asyncio.gather(*(one(engine, draw) for _ in range(together)))
        return ends

    ends = await asyncio.gather(*(caller(SUBMISSIONS // 30) for _ in range(10)))
    return Counter(end for some in ends for end in some)


@pytest.mark.parametrize("seed", range(3))
async def test_in_one_process(store: ModelStore, seed: int) -> None:
    async with LocalEngine(store, threads=1, queue_limit=100) as engine:
        ends = await many(engine, random.Random(seed))
    assert min(ends[end] for end in ("answered", "failed", "late", "cancelled")) > 0


async def test_across_a_socket(store: ModelStore, sockets: Path) -> None:
    engine = Engine(store, Device("cpu", threads=1), instruments=Instruments(), queue_limit=100)
    await engine.start()
    listener = Listener(engine)
    await listener.listen(sockets / "engine.sock")
    pool = EnginePool([sockets / "engine.sock"])
    await pool.start()
    ends = await many(pool, random.Random(3))
    assert min(ends[end] for end in ("answered", "failed", "late", "cancelled")) > 0
    await pool.stop()
    await listener.close()
    await engine.stop()


class Shaky(Answering):
    """Hangs up on every third submission, and on all that it has not answered by then."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: Listener | None = None
        self.hung_up = 0

    def enqueue(self, work: Work) -> None:
        if len(self.works) % 3 < 2:
            super().enqueue(work)
            return
        self.works.append(work)
        self.hung_up += 1
        assert self.listener is not None
        for connection in list(self.listener.connections):
            connection.close()


async def test_while_one_engine_of_two_hangs_up_again_and_again(sockets: Path) -> None:
    shaky = Shaky()
    listeners = [Listener(Answering()), Listener(shaky)]
    shaky.listener = listeners[1]
    paths = [sockets / "steady.sock", sockets / "shaky.sock"]
    for listener, path in zip(listeners, paths, strict=True):
        await listener.listen(path)
    pool = EnginePool(paths)
    await pool.start()
    await eventually(lambda: len(pool._links) == 2)
    answered = 0
    arrays = [np.full((1, 3), number) for number in range(500)]
    for start in range(0, 500, 50):
        several = arrays[start : start + 50]
        ends = await asyncio.gather(
            *(pool.submit(Call("m", "v"), [array]) for array in several), return_exceptions=True
        )
        for array, end in zip(several, ends, strict=True):
            assert isinstance(end, EngineUnavailable) or end[0].tolist() == array.tolist()  # type: ignore[index]
        answered += sum(isinstance(end, list) for end in ends)  # the others were lost twice
    assert answered
    assert shaky.hung_up > 1
    await pool.stop()
    for listener in listeners:
        await listener.close()
