"""`POST /forecast`: how a series goes on, by a trained model or by one fitted to it; long horizons stream."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.api.deadlines import DeadlineDep
from service.api.models import headers_of
from service.api.negotiation import JSON, MediaType
from service.api.openapi import OF_MODEL, TEXT, refusals
from service.api.presence import watch
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.drawing.forecast import draw_forecast
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    InvalidSeries,
    ModelFailed,
    ModelNotFound,
    UnsupportedMediaType,
    WrongTask,
)
from service.operations.choosing import choose_model
from service.operations.forecast import BLOCK_STEPS, Block, ForecastDocument, Question
from service.schemas import ForecastReply, ForecastRequest

router = APIRouter(tags=["models"], route_class=Endpoint)

SVG = "image/svg+xml"
FORECAST: dict[str, Any] = {
    "model": ForecastReply,
    "content": {JSON: {}, SVG: TEXT},
    "description": "The next steps and the interval around them, as numbers or drawn behind the history.",
    "headers": OF_MODEL,
}


@router.post(
    "/forecast",
    summary="Continue a series",
    response_class=Response,
    responses={
        200: FORECAST,
        **refusals(ModelNotFound, WrongTask, BodyTooLarge, UnsupportedMediaType, InvalidSeries),
        **refusals(ModelFailed, EngineUnavailable),
    },
)
async def forecast(
    body: ForecastRequest, request: Request, state: StateDep, kind: MediaType, deadline: DeadlineDep
) -> Response:
    """Continue `history` for `horizon` steps, with an interval from the errors of forecasts of its own past.

    With `fit`, the model's reservoir is given a readout for this history, of any number of channels: of its values or
    of their changes from step to step or from season to season, whatever was nearest to its last quarter (`choice`).
    A warning says where a naive forecast was nearer (`held_out`). With
    `Accept: image/svg+xml` the answer is a drawing.
    """
    model = choose_model(state.store, state.settings, body.model, "forecast", version=body.version)
    request.state.model = model.name
    question = Question.of(body, model, limit=state.settings.forecast_limit)
    headers = headers_of(model)
    blocks = question.ask(state.engines, deadline=deadline.at, request_id=request.state.request_id)
    document = ForecastDocument(question)
    with watch(request.scope, request.receive):
        first = document.add(await anext(blocks))
    if kind == SVG:
        async for block in blocks:
            document.add(block)
        return Response(_drawn(question, document), media_type=SVG, headers=headers)
    if question.horizon <= BLOCK_STEPS:
        return Response(first + document.finish(), media_type=JSON, headers=headers)
    return StreamingResponse(_streamed(document, first, blocks), media_type=JSON, headers=headers)


async def _streamed(document: ForecastDocument, first: bytes, blocks: AsyncIterator[Block]) -> AsyncIterator[bytes]:
    yield first
    async for block in blocks:
        yield document.add(block)
    yield document.finish()


def _drawn(question: Question, document: ForecastDocument) -> str:
    how = "fitted to this history" if question.fit else question.model.version
    title = f"{question.model.name}, {how}: {question.horizon:,} steps, interval of {question.level:.0%}"
    return draw_forecast(title, question.history.values, document.values, document.ends)
