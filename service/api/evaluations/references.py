"""`/references`: real sets kept by the server, so that only generated samples are uploaded."""

import asyncio
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import ValidationError

from service.api.evaluations.jobs import Form, WaitDep, accept, missing_file, until_over
from service.api.evaluations.progress import progress_of
from service.api.negotiation import JSON
from service.api.openapi import form_of, headers, refusals
from service.api.problems import PROBLEM_TYPE, validation_problem
from service.api.routes import Endpoint
from service.api.state import StateDep
from service.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    DiskFull,
    InvalidSamples,
    ModelFailed,
    ModelNotFound,
    PackageMissing,
    ReferenceNotFound,
    ReferenceShipped,
    StorageUnavailable,
    UnreadableArchive,
    UnsupportedMediaType,
    WrongTask,
)
from service.evaluation.queue.jobs import JobKind
from service.evaluation.references import NAME
from service.evaluation.store_reference import plan_reference
from service.schemas import EvaluationState, ReferenceList, ReferenceRequest, ReferenceSummary

router = APIRouter(prefix="/references", tags=["evaluation"], route_class=Endpoint)

Name = Annotated[
    str,
    Path(
        description="What the reference is called.",
        examples=["mnist-test"],
        json_schema_extra={"pattern": f"^{NAME.pattern}$"},  # described, and held where one is stored
    ),
]
FILES = {"reference": "The real samples."}
FORM = form_of(FILES, ReferenceRequest, passed_over={"name"})
STORED = {"model": ReferenceSummary, "headers": headers("Location")}
STATE = {
    "model": EvaluationState,
    "description": "Not stored yet; `Location` says where to ask.",
    "headers": headers("Location", "Retry-After"),
}


@router.get("", summary="List stored references", response_description="Where each of them comes from.")
async def list_references(state: StateDep) -> ReferenceList:
    """The reference sets that `reference_name` may name."""
    references = state.references
    found = await asyncio.to_thread(lambda: [references.summary(name) for name in references.names()])
    return ReferenceList(references=found)


@router.get(
    "/{name}",
    summary="One stored reference",
    response_description="Where it comes from.",
    responses=refusals(ReferenceNotFound),
)
async def show_reference(name: Name, state: StateDep) -> ReferenceSummary:
    """Where a reference comes from."""
    return await asyncio.to_thread(state.references.summary, name)


@router.put(
    "/{name}",
    summary="Store a reference",
    responses={
        200: {**STORED, "description": "The one of this name is replaced."},
        201: {**STORED, "description": "There was none of this name."},
        202: STATE,
        **refusals(ModelNotFound, ReferenceShipped, WrongTask, BodyTooLarge, UnsupportedMediaType),
        **refusals(UnreadableArchive, InvalidSamples, ModelFailed, PackageMissing),
        **refusals(DatabaseUnavailable, StorageUnavailable, DiskFull),
    },
    openapi_extra={"requestBody": FORM},
)
async def store_reference(name: Name, request: Request, state: StateDep, wait_s: WaitDep) -> Response:
    """Keep real samples as features and statistics: the same kinds of file as `/evaluate`.

    Waits as `/evaluate` does. The reference of this name appears, or is replaced, at once and whole.
    """

    async def check(form: Form) -> ReferenceRequest:
        if "reference" not in form.files:
            raise missing_file("reference", "the real samples")
        asked = _checked({**form.fields, "name": name})
        await asyncio.to_thread(plan_reference, asked, state.bench)
        return asked

    known = name in await asyncio.to_thread(state.references.names)
    job_id = await accept(request, state, check, files=FILES, kind=JobKind.REFERENCE)
    job = await until_over(request, state, job_id, wait_s=wait_s)
    headers = {"location": f"/evaluations/{job.id}"}
    if job.status == "finished":
        location = {"location": f"/references/{name}"}
        return Response(orjson.dumps(job.report), 200 if known else 201, location, JSON)
    if job.problem is not None:
        return Response(orjson.dumps(job.problem), int(job.problem["status"]), headers, PROBLEM_TYPE)
    return Response(progress_of(job).model_dump_json(), 202, {**headers, "retry-after": "1"}, JSON)


@router.delete(
    "/{name}",
    summary="Remove a reference",
    status_code=204,
    response_class=Response,
    response_description="It is gone.",
    responses=refusals(ReferenceNotFound, ReferenceShipped),
)
async def remove_reference(name: Name, state: StateDep) -> None:
    """Remove a reference that was stored here; one that came with the store stays (409)."""
    await asyncio.to_thread(state.references.remove, name)


def _checked(fields: dict[str, str]) -> ReferenceRequest:
    try:
        return ReferenceRequest.model_validate(fields)
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error
