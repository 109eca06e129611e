"""`POST /generate`: new samples of a seed, as pictures, an archive, an array, a plot or JSON; large counts stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import Counter

from service.api.deadlines import DeadlineDep
from service.api.models import headers_of
from service.api.negotiation import JSON, kind_for
from service.api.openapi import BINARY, OF_MODEL, TEXT, headers, refusals
from service.api.presence import watch
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    ModelFailed,
    ModelNotFound,
    UnsupportedMediaType,
    WrongTask,
)
from service.operations.choosing import choose_model
from service.operations.generate import Sampling, formats_of
from service.packing.formats import IMAGES, POINTS
from service.packing.stream import Samples, Stream
from service.schemas import GenerateRequest, PointsReply
from service.store import Model

router = APIRouter(tags=["models"], route_class=Endpoint)

KINDS = dict.fromkeys(form.media_type for form in (*IMAGES.values(), *POINTS.values()))
SAMPLES: dict[str, Any] = {
    "model": PointsReply,
    "content": {kind: {JSON: {}, "image/svg+xml": TEXT}.get(kind, BINARY) for kind in KINDS},
    "description": "The samples, in the format that `format` or `Accept` chooses.",
    "headers": {**OF_MODEL, **headers("X-Seed", "X-Count", "Content-Disposition")},
}


@router.post(
    "/generate",
    summary="Generate samples",
    response_class=Response,
    responses={
        200: SAMPLES,
        **refusals(ModelNotFound, WrongTask, BodyTooLarge, UnsupportedMediaType, ModelFailed, EngineUnavailable),
    },
)
async def generate(body: GenerateRequest, request: Request, state: StateDep, deadline: DeadlineDep) -> Response:
    """Draw `count` samples. The header `X-Seed` names the seed, so that any answer can be had again.

    Generators of images answer with a grid, PNG files or an array; those of points in the plane with JSON, a plot or an
    array. Without `format`, `Accept` chooses.
    """
    model = choose_model(state.store, state.settings, body.model, "generate", version=body.version)
    request.state.model = model.name
    accepted = None if body.format else _accepted(request, model)
    sampling = Sampling.of(body, model, limit=state.settings.generate_limit, format_name=accepted)
    blocks = sampling.blocks(state.engines, deadline=deadline.at, request_id=request.state.request_id)
    stream = sampling.format.stream(sampling.contents())
    with watch(request.scope, request.receive):
        first = await anext(blocks)
        pieces = _packed(stream, first, blocks, state.instruments.images_generated.labels(model.id))
        if stream.limit is not None:
            whole = b"".join([piece async for piece in pieces])
            return Response(whole, media_type=sampling.format.media_type, headers=_headers(sampling))
    return StreamingResponse(pieces, media_type=sampling.format.media_type, headers=_headers(sampling))


def _accepted(request: Request, model: Model) -> str:
    """The format that the caller's `Accept` prefers. Raises NotAcceptable."""
    by_type = {form.media_type: name for name, form in formats_of(model).items()}
    return by_type[kind_for(request, tuple(by_type))]


def _headers(sampling: Sampling) -> dict[str, str]:
    model = sampling.model
    told = {**headers_of(model), "x-seed": str(sampling.seed), "x-count": str(sampling.count)}
    if not sampling.format.shown:
        told["content-disposition"] = f'attachment; filename="{model.name}-{sampling.seed}.{sampling.suffix}"'
    return told


async def _packed(
    stream: Stream, first: Samples, blocks: AsyncGenerator[Samples, None], drawn: Counter
) -> AsyncIterator[bytes]:
    with closing(stream):
        async with aclosing(blocks):
            drawn.inc(len(first))
            yield stream.add(first)
            async for block in blocks:
                drawn.inc(len(block))
                yield stream.add(block)
        yield await asyncio.to_thread(stream.finish)  # a plot of many points takes a while
