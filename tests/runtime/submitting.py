"""Work for an engine of doubles, and a device that is busy for as long as a test wants."""

import asyncio

from doubles import Slow, images
from waiting import eventually

from service.runtime.calls import Array, Call, Lane
from service.runtime.in_process import OwnEngine

ECHO = Call("echo", "classify")
SLOW = Call("slow", "classify")
FAILING = Call("failing", "classify")


async def ask(engine: OwnEngine, call: Call, *firsts: int, lane: Lane = Lane.INTERACTIVE) -> Array:
    """The first array of the answer to images of these first pixels."""
    [answer, *_] = await engine.submit(call, [images(*firsts)], lane=lane)
    return answer


def start(engine: OwnEngine, call: Call, *firsts: int, lane: Lane = Lane.INTERACTIVE) -> "asyncio.Task[Array]":
    """Ask, and do not wait for the answer."""
    return asyncio.create_task(ask(engine, call, *firsts, lane=lane))


async def hold(engine: OwnEngine) -> "asyncio.Task[Array]":
    """Put one image into the slow model and wait until the device is busy with it."""
    held = start(engine, SLOW, 250)
    await eventually(Slow.entered.is_set)
    return held


async def turns(count: int = 5) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)
