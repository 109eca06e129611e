"""Three cards behind sockets, and one of them dies under load."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
from doubles import echoed, images
from runtime.submitting import ECHO
from waiting import eventually

from service.runtime.calls import Lane
from service.runtime.cards.simulated import Costs, Hardware, SimulatedDevice, SimulatedLoss
from service.runtime.cards.streams import Stage
from service.runtime.duties import Duty, socket_of
from service.runtime.engine import Engine
from service.runtime.listener import Listener
from service.runtime.pool import EnginePool
from service.store import ModelStore
from service.telemetry.instruments import Instruments

COSTS = {Stage.COMPUTE: Costs(batch_s=0.002)}
CALLERS, ROUNDS = 24, 12


class Process:
    """What an engine process is, but for the process: it hangs up on everybody when its card is lost."""

    def __init__(self, store: ModelStore, socket: Path) -> None:
        self.hardware = Hardware(dict(COSTS))
        self.engine = Engine(store, SimulatedDevice(hardware=self.hardware), instruments=Instruments())
        self._listener = Listener(self.engine)
        self._socket = socket
        self.serving: asyncio.Task[None] | None = None
        self.life: asyncio.Task[BaseException | None] | None = None

    async def begin(self) -> None:
        self.serving = await self.engine.start()
        await self.engine.load("echo")
        await self._listener.listen(self._socket)
        self.life = asyncio.create_task(self._live(self.serving))

    async def _live(self, serving: "asyncio.Task[None]") -> BaseException | None:
        await asyncio.wait({serving})
        await self._listener.close()
        return None if serving.cancelled() else serving.exception()

    async def end(self) -> None:
        await self.engine.stop()
        assert self.life is not None
        await self.life


async def test_one_lost_card_of_three_leaves_nobody_without_an_answer(store: ModelStore, sockets: Path) -> None:
    places = [socket_of(sockets, number, Duty.ALL) for number in range(3)]
    cards = [Process(store, place) for place in places]
    pool = EnginePool(places)
    async with AsyncExitStack() as stack:
        for card in cards:
            await card.begin()
            stack.push_async_callback(card.end)
        await pool.start()
        stack.push_async_callback(pool.stop)
        await eventually(lambda: len(pool._links) == 3)
        answered = 0

        async def ask(caller: int) -> None:
            nonlocal answered
            for place in range(ROUNDS):
                first, lane = 1 + (caller + place) % 200, Lane.BULK if caller % 3 == 0 else Lane.INTERACTIVE
                [answer] = await pool.submit(ECHO, [images(first)], lane=lane)
                np.testing.assert_allclose(answer, echoed(first), atol=1e-6)
                answered += 1
                if answered == CALLERS * ROUNDS // 3:
                    cards[1].hardware.lost.set()

        await asyncio.gather(*(ask(caller) for caller in range(CALLERS)))
        assert answered == CALLERS * ROUNDS
        life = cards[1].life
        assert life is not None
        assert isinstance(await life, SimulatedLoss)
        await eventually(lambda: len(pool._links) == 2)
        assert pool.models()["echo"].state == "ready"
        assert all(card.hardware.timeline.of(Stage.OUT) for card in cards), "all three had their part"
