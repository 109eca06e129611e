"""What an engine does when a card's memory is short, and when its context dies."""

import asyncio

import numpy as np
import torch
from torch import Tensor

from benchmarks.card.place import Place
from service.runtime.calls import Call, Lane
from service.runtime.cards.simulated import SimulatedDevice
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.work import Work
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments

CALL = Call("lenet5-mnist", "classify")
LEFT_BYTES = 64 << 20
PATIENCE_S = 60.0


def run(place: Place) -> None:
    """Run out of memory, then lose the card."""
    asyncio.run(_memory(place))
    asyncio.run(_loss(place))


async def _memory(place: Place) -> None:
    """Classify while all memory is taken; what was too much at once is cut, and answered as before."""
    device = place.open()
    images = [np.zeros((32 if place.rehearsal else 1024, 28, 28, 1), np.uint8)]
    async with LocalEngine(ModelStore.of(Settings()), device=device) as engine:
        [before] = await engine.submit(CALL, images)
        held = _take_all(place, device)
        [during] = await engine.submit(CALL, images)
        del held
        [after] = await engine.submit(CALL, images)
    same = all(np.allclose(before, other, atol=1e-3) for other in (during, after))
    place.write(what=f"{len(images[0])} images while all memory is taken", answered_as_before=same)


def _take_all(place: Place, device: Device) -> Tensor | None:
    if isinstance(device, SimulatedDevice):
        device.hardware.memory_bytes = sum(device.hardware.held.values())
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    return torch.empty(max(0, free - LEFT_BYTES), dtype=torch.uint8, device=place.at)


async def _loss(place: Place) -> None:
    """Let the card's context die: the engine has to end, and to answer nobody with a failure."""
    device, answers = place.open(), list[object]()
    engine = Engine(ModelStore.of(Settings()), device, instruments=Instruments())
    serving = await engine.start()
    await engine.load(CALL.model)
    if isinstance(device, SimulatedDevice):
        device.hardware.lost.set()
    else:
        await asyncio.get_running_loop().run_in_executor(device.thread, _assert_on, place)
    for _ in range(8):
        pixels = np.zeros((1, 28, 28, 1), np.uint8)
        engine.enqueue(Work(CALL, [pixels], 1, Lane.INTERACTIVE, None, "", answers.append))
    done, _ = await asyncio.wait({serving}, timeout=PATIENCE_S)
    error = serving.exception() if done else None
    place.write(what="an assert on the card", engine_ended_with=type(error).__name__, failures_told=len(answers))
    await engine.stop()


def _assert_on(place: Place) -> None:
    table = torch.zeros(1, device=place.at)
    table[torch.tensor([1 << 20], device=place.at)]  # nobody looks at it: the next to ask the card is told
