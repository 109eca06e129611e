"""Images to features: blocks through an engine on the bulk lane, in order, a few of them under way."""

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.runtime.calls import Array, Call, EngineClient, Lane, submit_patiently
from service.store import Model

BLOCKS_UNDER_WAY = 4
"""Enough to keep a device busy, little enough to leave the queue to others."""


async def extract_features(
    engine: EngineClient,
    model: Model,
    images: NDArray[np.uint8],
    *,
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (n, d) and class probabilities (n, classes) of images uint8 (n, H, W, C) of the model's own size.

    The blocks are those of the model's manifest, so the same images in the same order give the same bits whatever
    else the engine does. Raises the ServiceError that the engine met.
    """
    block = model.manifest.serving.block
    call = Call(model.id, "features", model.version)
    under_way = asyncio.Semaphore(BLOCKS_UNDER_WAY)
    done = 0

    async def extract(start: int) -> list[Array]:
        nonlocal done
        async with under_way:
            rows = np.ascontiguousarray(images[start : start + block])
            result = await submit_patiently(engine, call, [rows], lane=Lane.BULK)
        done += len(rows)
        on_progress(done / len(images))
        return result

    tasks = [asyncio.create_task(extract(start)) for start in range(0, len(images), block)]
    try:
        parts = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    features, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    return features, probabilities
