"""`POST /forecast`: how a series goes on, by a trained model or by one fitted to it; long horizons stream."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.api.bodies import JSONRoute
from service.api.gate import Watch, deadline_of
from service.api.problems import PROBLEM_RESPONSES
from service.api.state import StateDep
from service.runtime.forecasting import BLOCK_STEPS, Block, ForecastDocument, Question
from service.schemas import ForecastReply, ForecastRequest

router = APIRouter(tags=["models"], responses=PROBLEM_RESPONSES, route_class=JSONRoute)

JSON = "application/json"


@router.post(
    "/forecast", summary="Continue a series", response_class=Response, responses={200: {"model": ForecastReply}}
)
async def forecast(body: ForecastRequest, request: Request, state: StateDep) -> Response:
    """Go on with `history` for `horizon` steps, with an interval from how far earlier forecasts of it were off.

    With `fit`, the model's reservoir is given a readout for this history, of any number of channels.
    """
    model = state.store.get(body.model or state.settings.default_forecaster, task="forecast")
    question = Question.of(body, model, limit=state.settings.forecast_limit)
    deadline = deadline_of(request.headers.get("x-deadline-ms"))
    blocks = question.ask(state.engines, deadline=deadline, request_id=request.state.request_id)
    document = ForecastDocument(question)
    with Watch(request.receive):
        first = document.add(await anext(blocks))
    if question.horizon <= BLOCK_STEPS:
        return Response(first + document.finish(), media_type=JSON)
    return StreamingResponse(_told(document, first, blocks), media_type=JSON)


async def _told(document: ForecastDocument, first: bytes, blocks: AsyncIterator[Block]) -> AsyncIterator[bytes]:
    yield first
    async for block in blocks:
        yield document.add(block)
    yield document.finish()
