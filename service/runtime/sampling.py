"""The images of a seed, block by block, through whatever engine there is."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from service.imaging import Pixels
from service.runtime.calls import Call, EngineClient, Lane, submit_patiently
from service.store import Model
from service.tasks.generate import latents

INTERACTIVE_COUNT = 256
"""More images than this go behind everybody's single requests."""
BLOCKS_AHEAD = 3
"""Blocks asked for while one is used: enough to keep a device busy, little enough to hold."""


async def sample_images(
    engine: EngineClient,
    model: Model,
    *,
    seed: int,
    count: int,
    deadline: float | None = None,
    request_id: str = "",
) -> AsyncIterator[Pixels]:
    """Images uint8 (n, H, W, C), `count` in all, in order; image i depends on seed and i only.

    Raises the ServiceError that the engine met; Overloaded only before the first block, later ones wait for room.
    """
    size = model.manifest.serving.block
    lane = Lane.INTERACTIVE if count <= INTERACTIVE_COUNT else Lane.BULK
    call = Call(model.id, "generate")
    ahead: list[asyncio.Task[list[Any]]] = []

    async def draw(start: int) -> list[Any]:
        rows = latents(seed, start, min(size, count - start), model.output.latent)
        submit = engine.submit if start == 0 else partial(submit_patiently, engine)
        return await submit(call, [rows], lane=lane, deadline=deadline, request_id=request_id)

    try:
        for start in range(0, count, size):
            ahead.append(asyncio.create_task(draw(start)))
            if len(ahead) > BLOCKS_AHEAD:
                yield (await ahead.pop(0))[0]
        while ahead:
            yield (await ahead.pop(0))[0]
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
