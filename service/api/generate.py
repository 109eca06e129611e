"""`POST /generate`: new pictures of a seed, as a grid, an archive or an array; large counts stream."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.api.archives import ImageStream, NpzStream, ZipStream
from service.api.gate import deadline_of, watched
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import State, StateDep
from service.errors import InvalidRequest
from service.imaging import Pixels, encode_png, tile
from service.runtime.calls import Call, Lane
from service.schemas import SEED_LIMIT, GenerateRequest
from service.store import Model
from service.tasks.generate import latents

router = APIRouter(tags=["models"], responses=PROBLEM_RESPONSES)

GRID_LIMIT = 1024
INTERACTIVE_COUNT = 256
"""More images than this go behind everybody's single requests."""
BLOCKS_AHEAD = 3
"""Blocks asked for while one is written: enough to keep a device busy, little enough to hold."""
STREAMS: dict[str, tuple[type[ImageStream], str]] = {
    "zip": (ZipStream, "application/zip"),
    "npz": (NpzStream, "application/x-npz"),
}


@router.post(
    "/generate",
    summary="Generate images",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "application/zip": {}, "application/x-npz": {}}}},
)
async def generate(body: GenerateRequest, request: Request, state: StateDep) -> Response:
    """Draw `count` images. The header `X-Seed` names the seed, so that any answer can be had again."""
    limit = min(state.settings.generate_limit, GRID_LIMIT if body.format == "png" else state.settings.generate_limit)
    if body.count > limit:
        hint = "; ask for zip or npz" if body.format == "png" else ""
        message = f"at most {limit} images as {body.format}{hint}"
        raise InvalidRequest(f"count: {message}", errors=[{"field": "count", "message": message}])
    model = state.store.get(body.model or state.settings.default_generator, task="generate")
    seed = secrets.randbelow(SEED_LIMIT) if body.seed is None else body.seed
    headers = {"x-seed": str(seed), "x-model": model.id, "x-model-version": model.version}
    deadline = deadline_of(request.headers.get("x-deadline-ms"))
    blocks = _blocks(state, model, seed, body.count, deadline, request.state.request_id)
    async with watched(request.receive):
        first = await anext(blocks)
        if body.format == "png":
            images = np.concatenate([first, *[block async for block in blocks]])
            return Response(encode_png(tile(images)), media_type="image/png", headers=headers)
    kind, media_type = STREAMS[body.format]
    stream = kind(body.count, first.shape[1:])
    headers["content-disposition"] = f'attachment; filename="{model.id}-{seed}.{body.format}"'
    state.instruments.images_generated.labels(model.id).inc(body.count)
    return StreamingResponse(_archive(stream, first, blocks), media_type=media_type, headers=headers)


async def _blocks(
    state: State, model: Model, seed: int, count: int, deadline: float | None, request_id: str
) -> AsyncIterator[Pixels]:
    """The images of a seed in blocks, in order, a few of them asked for ahead."""
    size = model.manifest.serving.block
    lane = Lane.INTERACTIVE if count <= INTERACTIVE_COUNT else Lane.BULK
    call = Call(model.id, "generate")
    ahead: list[asyncio.Task[list[Any]]] = []

    async def draw(start: int) -> list[Any]:
        rows = latents(seed, start, min(size, count - start), model.output.latent)
        return await state.engine.submit(call, [rows], lane=lane, deadline=deadline, request_id=request_id)

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


async def _archive(stream: ImageStream, first: Pixels, blocks: AsyncIterator[Pixels]) -> AsyncIterator[bytes]:
    yield stream.add(first)
    async for block in blocks:
        yield stream.add(block)
    yield stream.finish()
