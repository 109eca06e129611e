"""`POST /evaluate` and what becomes of it: uploads onto disk, a row in the database, a report or the way to it."""

import asyncio
import io
import re
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from service.api.bodies import Part, Sink, boundary_of, chunks, read_form
from service.api.models import LoopbackOnly
from service.api.problems import PROBLEM_RESPONSES, PROBLEM_TYPE, validation_problem
from service.api.state import State, StateDep
from service.errors import BodyTooLarge, InvalidRequest
from service.evaluation.jobs import Job
from service.evaluation.pipeline import plan
from service.evaluation.reports import Report
from service.schemas import EvaluationList, EvaluationRequest, EvaluationState, ReferenceList, ReferenceSummary

router = APIRouter(tags=["evaluation"], responses=PROBLEM_RESPONSES)

WAIT_DEFAULT_S = 30.0
WAIT_LIMIT_S = 600.0
POLL_S = 0.05
FIELD_LIMIT_BYTES = 65536
FILES = ("generated", "reference")
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d+)", re.IGNORECASE)

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["generated"],
                "properties": {
                    "generated": {"type": "string", "format": "binary", "description": "The samples to judge."},
                    "reference": {
                        "type": "string",
                        "format": "binary",
                        "description": "Real samples, instead of `reference_name`.",
                    },
                    **EvaluationRequest.model_json_schema()["properties"],
                },
            }
        }
    },
}


class Field(io.BytesIO):
    """One field of a form that is no file."""

    def write(self, data: Any, /) -> int:
        """Take some bytes. Raises BodyTooLarge past what a field may hold."""
        if self.tell() + len(data) > FIELD_LIMIT_BYTES:
            raise BodyTooLarge(f"A field of the form is longer than {FIELD_LIMIT_BYTES:,} bytes.")
        return super().write(data)

    def close(self) -> None:
        """Keep the bytes: the part is whole, not done with."""


@router.post(
    "/evaluate",
    summary="Measure a set of samples",
    response_model=Report,
    responses={202: {"model": EvaluationState, "description": "Not over yet; `Location` says where to ask."}},
    openapi_extra={"requestBody": FORM},
)
async def evaluate(request: Request, state: StateDep) -> Response:
    """Compare generated samples with real ones: zip, tar(.gz), npy, npz, or npz statistics.

    Waits for the report as long as `Prefer: wait=N` says (30 s unless given), then answers 202; the evaluation goes on
    either way, also when the caller hangs up.
    """
    job_id = secrets.token_hex(8)
    wait_s = _wait_of(request.headers.get("prefer", ""))
    folder = state.uploads.begin(job_id)
    try:
        asked = await _receive(request, state, folder)
        await asyncio.to_thread(plan, asked, state.bench, has_file=(folder / "reference").exists())
        state.uploads.commit(job_id)
        await asyncio.to_thread(state.jobs.accept, job_id, asked.model_dump(mode="json"))
    except BaseException:
        state.uploads.discard(job_id)
        raise
    job = await _until_over(request, state, job_id, time.monotonic() + wait_s)
    if job.status == "finished":
        return Response(orjson.dumps(job.report), media_type="application/json", headers=_headers(job))
    if job.problem is not None:
        return Response(orjson.dumps(job.problem), int(job.problem["status"]), _headers(job), PROBLEM_TYPE)
    return Response(
        _state(job).model_dump_json(), 202, {**_headers(job), "retry-after": "1"}, media_type="application/json"
    )


@router.get("/evaluations", summary="List evaluations")
async def list_evaluations(state: StateDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> EvaluationList:
    """The evaluations accepted last, newest first."""
    return EvaluationList(evaluations=[_state(job) for job in await asyncio.to_thread(state.jobs.latest, limit)])


@router.get(
    "/evaluations/{evaluation_id}",
    summary="One evaluation",
    response_model=Report | EvaluationState,
)
async def show_evaluation(evaluation_id: str, state: StateDep) -> Response:
    """The report of a finished evaluation; how far any other is, or why it failed."""
    job = await asyncio.to_thread(state.jobs.get, evaluation_id)
    body = orjson.dumps(job.report) if job.status == "finished" else _state(job).model_dump_json()
    return Response(body, media_type="application/json")


@router.delete("/evaluations/{evaluation_id}", summary="Cancel or remove", status_code=204, response_class=Response)
async def remove_evaluation(evaluation_id: str, state: StateDep, _local: LoopbackOnly) -> None:
    """Cancel an evaluation that is not over; remove one that is, with its report."""
    await asyncio.to_thread(state.jobs.remove, evaluation_id)
    state.uploads.discard(evaluation_id)


@router.get("/references", summary="List stored references")
async def list_references(state: StateDep) -> ReferenceList:
    """The reference sets that `reference_name` may name."""
    described = [state.references.get(name) for name in state.references.names()]
    return ReferenceList(
        references=[
            ReferenceSummary(
                name=reference.description.name,
                dataset=reference.description.dataset,
                extractor=reference.description.extractor,
                count=reference.description.count,
                dim=len(reference.statistics.mean),
                sha256=reference.description.sha256,
            )
            for reference in described
        ]
    )


async def _receive(request: Request, state: State, folder: Path) -> EvaluationRequest:
    """Write the form's files into `folder`; the other fields, checked. Raises InvalidRequest, BodyTooLarge."""
    fields: dict[str, Field] = {}
    seen: set[str] = set()

    def open_part(part: Part) -> Sink:
        if part.name in seen:
            raise InvalidRequest(f"The form has the field {part.name!r} twice.")
        seen.add(part.name)
        if part.name in FILES:
            return (folder / part.name).open("xb")
        return fields.setdefault(part.name, Field())

    headers = request.headers
    length = headers.get("content-length", "").encode()
    body = chunks(request.receive, limit=state.settings.upload_limit_bytes, content_length=length)
    await read_form(body, boundary_of(headers.get("content-type", "").encode("latin-1")), open_part)
    if "generated" not in seen:
        message = "the file with the samples to judge is missing"
        raise InvalidRequest(f"generated: {message}", errors=[{"field": "generated", "message": message}])
    return _checked({name: field.getvalue() for name, field in fields.items()})


def _checked(fields: dict[str, bytes]) -> EvaluationRequest:
    try:
        texts = {name: value.decode() for name, value in fields.items()}
    except UnicodeDecodeError as error:
        raise InvalidRequest("A field of the form is not UTF-8.") from error
    values: dict[str, Any] = {}
    options: dict[str, dict[str, str]] = {}
    for name, text in texts.items():
        metric, dot, option = name.partition(".")
        if dot:
            options.setdefault(metric, {})[option] = text
        elif name == "metrics":
            values[name] = tuple(word.strip() for word in text.split(",") if word.strip())
        else:
            values[name] = text
    try:
        return EvaluationRequest.model_validate({**values, "options": options})
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error


def _wait_of(prefer: str) -> float:
    """The seconds that a `Prefer` header (RFC 7240) asks to wait; other preferences are passed over."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), WAIT_LIMIT_S) if found else WAIT_DEFAULT_S


async def _until_over(request: Request, state: State, job_id: str, until: float) -> Job:
    """The evaluation when it is over, when the wait is, or when this front is told to stop."""
    while True:
        job = await asyncio.to_thread(state.jobs.get, job_id)
        if job.is_over or time.monotonic() >= until or request.app.gate.draining:
            return job
        await asyncio.sleep(POLL_S)


def _headers(job: Job) -> dict[str, str]:
    return {"location": f"/evaluations/{job.id}"}


def _state(job: Job) -> EvaluationState:
    return EvaluationState.model_validate(
        {
            "id": job.id,
            "status": job.status,
            "progress": job.progress,
            "created": _iso(job.created),
            "ended": None if job.ended is None else _iso(job.ended),
            "problem": job.problem,
        }
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
