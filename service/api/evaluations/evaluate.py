"""`POST /evaluate` and what becomes of it: uploads onto disk, a row in the database, a report or the way to it."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from service.api.access.ownership import KeyDep, VisibleDep
from service.api.evaluations.answers import REPORT, answer
from service.api.evaluations.jobs import Form, WaitDep, accept, missing_file, until_over
from service.api.evaluations.progress import EvaluationId, progress_of
from service.api.negotiation import JSON, MediaType
from service.api.openapi import TEXT, form_of, headers, refusals
from service.api.problems import PROBLEM_TYPE, validation_problem
from service.api.routes import Endpoint
from service.api.state import State, StateDep
from service.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    DiskFull,
    EvaluationNotFound,
    InvalidRequest,
    InvalidSamples,
    ModelFailed,
    ModelNotFound,
    NotComparable,
    PackageMissing,
    ReferenceNotFound,
    StorageUnavailable,
    UnreadableArchive,
    UnsupportedMediaType,
    WrongTask,
)
from service.evaluation.pipeline import plan
from service.evaluation.queue.jobs import Job, JobKind, Owner
from service.evaluation.rendering.formats import HTML
from service.evaluation.report.schema import Report
from service.schemas import EvaluationList, EvaluationRequest, EvaluationState

router = APIRouter(tags=["evaluation"], route_class=Endpoint)

FILES = {"generated": "The samples to judge.", "reference": "Real samples, instead of `reference_name`."}
WANTED = ("metrics", "thresholds")
"""Fields that ask for something: empty, as a variable that was never set is, they would ask for nothing."""
OPTION = {"type": "string", "description": "An option of a metric, such as `mmd.sigma`."}
FORM = form_of(FILES, EvaluationRequest, passed_over={"options"}, patterns={r"^\w+\.\w+$": OPTION}, filled=WANTED)
STATE = {
    "model": EvaluationState,
    "content": {JSON: {}, HTML: TEXT},
    "description": "Not over yet; `Location` says where to ask.",
    "headers": headers("Location", "Retry-After"),
}


@router.post(
    "/evaluate",
    summary="Measure a set of samples",
    response_class=Response,
    responses={
        200: {**REPORT, "headers": headers("Location")},
        202: STATE,
        **refusals(ModelNotFound, ReferenceNotFound, EvaluationNotFound, WrongTask, NotComparable),
        **refusals(BodyTooLarge, UnsupportedMediaType, UnreadableArchive, InvalidSamples),
        **refusals(ModelFailed, PackageMissing, DatabaseUnavailable, StorageUnavailable, DiskFull),
    },
    openapi_extra={"requestBody": FORM},
)
async def evaluate(request: Request, state: StateDep, media_type: MediaType, wait_s: WaitDep, key: KeyDep) -> Response:
    """Compare generated samples with real ones: zip, tar(.gz), npy, npz, or npz statistics.

    Waits for the report as long as `Prefer: wait=N` says (30 s unless given), then answers 202; the evaluation goes on
    either way, also when the caller hangs up. `X-Deadline-Ms` ends an upload with 504 and a wait with 202. `Accept`
    chooses the form of the report, and options of a metric are fields such as `mmd.sigma`.
    """

    async def check(form: Form) -> EvaluationRequest:
        if "generated" not in form.files:
            raise missing_file("generated", "the samples to judge")
        asked = _checked(form.fields)
        await asyncio.to_thread(plan, asked, state.bench_of(key), has_file="reference" in form.files)
        return asked

    job_id = await accept(request, state, check, files=FILES, kind=JobKind.EVALUATION)
    job = await until_over(request, state, job_id, wait_s=wait_s)
    if job.status == "finished":
        return await answer(job, media_type, state.figure_files, headers=_headers(job))
    if job.problem is not None:
        return Response(orjson.dumps(job.problem), int(job.problem["status"]), _headers(job), PROBLEM_TYPE)
    return await answer(job, media_type, state.figure_files, status=202, headers={**_headers(job), "retry-after": "1"})


@router.get(
    "/evaluations",
    summary="List evaluations",
    response_description="How each of them stands, newest first.",
    responses=refusals(DatabaseUnavailable),
)
async def list_evaluations(
    state: StateDep,
    whose: VisibleDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many, at most.", examples=[10])] = 100,
) -> EvaluationList:
    """The evaluations accepted last, newest first: a key's own, or all of them where it has the scope `admin`."""
    latest = await state.database.ask(state.jobs.latest, limit, whose)
    return EvaluationList(evaluations=[progress_of(job) for job in latest])


@router.get(
    "/evaluations/{evaluation_id}",
    summary="One evaluation",
    response_class=Response,
    responses={200: {**REPORT, "model": Report | EvaluationState}, **refusals(EvaluationNotFound, DatabaseUnavailable)},
)
async def show_evaluation(
    evaluation_id: EvaluationId, state: StateDep, media_type: MediaType, whose: VisibleDep
) -> Response:
    """The report of a finished evaluation in the form that `Accept` chooses; how far any other is, or why it failed."""
    job = await state.database.ask(state.jobs.get, evaluation_id, whose)
    return await answer(job, media_type, state.figure_files)


@router.delete(
    "/evaluations/{evaluation_id}",
    summary="Cancel or remove",
    status_code=204,
    response_class=Response,
    response_description="It is cancelled, or gone.",
    responses=refusals(EvaluationNotFound, DatabaseUnavailable),
)
async def remove_evaluation(evaluation_id: EvaluationId, state: StateDep, whose: VisibleDep) -> None:
    """Cancel an evaluation that is not over; remove one that is, with its report."""
    await state.database.change(_remove, state, evaluation_id, whose)


def _remove(state: State, evaluation_id: str, whose: Owner | None) -> None:
    """All of it, also where the caller's deadline passes meanwhile."""
    was = state.jobs.remove(evaluation_id, whose)
    with suppress(StorageUnavailable):  # it is gone; its files are swept when the storage is back
        if was != "running":  # else the evaluator that works in that folder removes it, within a second or so
            state.uploads.discard(evaluation_id)
        state.figure_files.discard(evaluation_id)


def _checked(fields: dict[str, str]) -> EvaluationRequest:
    values: dict[str, Any] = {}
    options: dict[str, dict[str, str]] = {}
    for name, text in fields.items():
        metric, dot, option = name.partition(".")
        if dot:
            options.setdefault(metric, {})[option] = text
        elif name in WANTED and not text.strip():
            raise InvalidRequest.of_field(name, "is empty; leave it out for what is usual")
        elif name == "metrics":
            values[name] = tuple(word.strip() for word in text.split(",") if word.strip())
        else:
            values[name] = text
    try:
        return EvaluationRequest.model_validate({**values, "options": options})
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error


def _headers(job: Job) -> dict[str, str]:
    return {"location": f"/evaluations/{job.id}"}
