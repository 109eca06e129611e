"""`GET /evaluations/{id}/events`: how an evaluation goes on, as server-sent events, until it is over."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from service.api.access.ownership import VisibleDep
from service.api.evaluations.jobs import client_of
from service.api.openapi import TEXT, refusals
from service.api.routes import Endpoint
from service.api.state import State, StateDep
from service.api.streams import CountedStream
from service.errors import DatabaseUnavailable, EvaluationNotFound, Overloaded
from service.evaluation.queue.jobs import Job
from service.schemas import EvaluationState

router = APIRouter(tags=["evaluation"], route_class=Endpoint)

EvaluationId = Annotated[
    str, Path(description="An evaluation, as `POST /evaluate` names it.", examples=["874ee9faa285da0a"])
]
LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID", description="The last event that the caller has seen.", examples=["running-1-0.4000"]
    ),
]
KEEP_ALIVE_S = 15.0
"""Proxies close a connection that is silent for 30 or 60 seconds."""
RETRY_MS = 1000
EVENT_STREAM = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def progress_of(job: Job) -> EvaluationState:
    """Where an evaluation stands, as callers are told."""
    return EvaluationState.model_validate(
        {
            "id": job.id,
            "kind": job.kind,
            "status": job.status,
            "progress": job.progress,
            "created": _iso(job.created),
            "ended": None if job.ended is None else _iso(job.ended),
            "problem": job.problem,
        }
    )


@router.get(
    "/evaluations/{evaluation_id}/events",
    summary="Follow an evaluation",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {EVENT_STREAM: TEXT},
            "description": "`progress` events and one `end`, each with its state.",
        },
        204: {"description": "`Last-Event-ID` is that of the end: there is nothing more to tell."},
        **refusals(EvaluationNotFound, Overloaded, DatabaseUnavailable),
    },
)
async def follow_evaluation(
    evaluation_id: EvaluationId,
    request: Request,
    state: StateDep,
    whose: VisibleDep,
    last_event_id: LastEventId = "",
) -> Response:
    """Server-sent events: `progress` whenever something has changed, `end` when the evaluation is over.

    Every event carries the whole state, so a caller that was cut off (also by this instance shutting down) asks again
    with `Last-Event-ID`, as browsers do by themselves, and misses nothing.
    """
    job = await state.database.ask(state.jobs.get, evaluation_id, whose)
    if job.is_over and last_event_id == _event_id(job):
        return Response(status_code=204)
    events = _events(job, request, state, last_event_id)
    stream = CountedStream(events, media_type=EVENT_STREAM, headers=HEADERS)
    return stream.counted(state.streams, client_of(request))


async def _events(job: Job, request: Request, state: State, told: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    while True:
        if told != (told := _event_id(job)):
            yield _event(job)
        if job.is_over:
            return
        if request.app.gate.draining:
            yield ": this instance is shutting down; ask again\n\n"
            return
        try:
            if await state.watcher.wait(job, KEEP_ALIVE_S):
                job = await state.database.ask(state.jobs.get, job.id)
            else:
                yield ": still there\n\n"
        except (EvaluationNotFound, DatabaseUnavailable):
            return  # asking again says which


def _event(job: Job) -> str:
    kind = "end" if job.is_over else "progress"
    return f"id: {_event_id(job)}\nevent: {kind}\ndata: {progress_of(job).model_dump_json()}\n\n"


def _event_id(job: Job) -> str:
    return f"{job.status}-{job.attempt}-{job.progress:.4f}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
