"""`POST /generate`: new pictures of a seed, as a grid, an archive or an array; large counts stream."""

import secrets
from collections.abc import AsyncIterator
from contextlib import closing

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.api.bodies import JSONRoute
from service.api.gate import Watch, deadline_of
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import StateDep
from service.errors import InvalidRequest
from service.imaging import Pixels
from service.packing import GRID_LIMIT, STREAMS, ImageStream
from service.runtime.sampling import sample_images
from service.schemas import SEED_LIMIT, GenerateRequest

router = APIRouter(tags=["models"], responses=PROBLEM_RESPONSES, route_class=JSONRoute)

MEDIA_TYPES = {"npz": "application/x-npz", "png": "image/png", "zip": "application/zip"}


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
    blocks = sample_images(
        state.engines, model, seed=seed, count=body.count, deadline=deadline, request_id=request.state.request_id
    )
    with Watch(request.receive):
        first = await anext(blocks)
        state.instruments.images_generated.labels(model.id).inc(body.count)
        pieces = _packed(STREAMS[body.format](body.count, first.shape[1:]), first, blocks)
        if body.format == "png":
            grid = b"".join([piece async for piece in pieces])
            return Response(grid, media_type=MEDIA_TYPES["png"], headers=headers)
    headers["content-disposition"] = f'attachment; filename="{model.id}-{seed}.{body.format}"'
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[body.format], headers=headers)


async def _packed(stream: ImageStream, first: Pixels, blocks: AsyncIterator[Pixels]) -> AsyncIterator[bytes]:
    with closing(stream):
        yield stream.add(first)
        async for block in blocks:
            yield stream.add(block)
        yield stream.finish()
