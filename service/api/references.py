"""`/references`: real sets kept by the server, so that only generated samples are uploaded."""

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from service.api.access import LoopbackOnly
from service.api.jobs import Form, accept, missing_file, until_over
from service.api.problems import PROBLEM_RESPONSES, PROBLEM_TYPE, validation_problem
from service.api.progress import progress_of
from service.api.state import StateDep
from service.evaluation.queue.jobs import JobKind
from service.evaluation.store_reference import plan_reference
from service.schemas import EvaluationState, ReferenceList, ReferenceRequest, ReferenceSummary

router = APIRouter(prefix="/references", tags=["evaluation"], responses=PROBLEM_RESPONSES)

FILES = ("reference",)
FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["reference"],
                "properties": {
                    "reference": {"type": "string", "format": "binary", "description": "The real samples."},
                    **{
                        name: field
                        for name, field in ReferenceRequest.model_json_schema()["properties"].items()
                        if name != "name"
                    },
                },
            }
        }
    },
}


@router.get("", summary="List stored references")
async def list_references(state: StateDep) -> ReferenceList:
    """The reference sets that `reference_name` may name."""
    references = state.references
    found = await asyncio.to_thread(lambda: [references.summary(name) for name in references.names()])
    return ReferenceList(references=found)


@router.get("/{name}", summary="One stored reference")
async def show_reference(name: str, state: StateDep) -> ReferenceSummary:
    """Where a reference comes from."""
    return await asyncio.to_thread(state.references.summary, name)


@router.put(
    "/{name}",
    summary="Store a reference",
    response_model=ReferenceSummary,
    responses={
        201: {"model": ReferenceSummary, "description": "There was none of this name."},
        202: {"model": EvaluationState, "description": "Not stored yet; `Location` says where to ask."},
    },
    openapi_extra={"requestBody": FORM},
)
async def store_reference(name: str, request: Request, state: StateDep, _local: LoopbackOnly) -> Response:
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
    job = await until_over(request, state, job_id)
    headers = {"location": f"/evaluations/{job.id}"}
    if job.status == "finished":
        location = {"location": f"/references/{name}"}
        return Response(orjson.dumps(job.report), 200 if known else 201, location, "application/json")
    if job.problem is not None:
        return Response(orjson.dumps(job.problem), int(job.problem["status"]), headers, PROBLEM_TYPE)
    return Response(progress_of(job).model_dump_json(), 202, {**headers, "retry-after": "1"}, "application/json")


@router.delete("/{name}", summary="Remove a reference", status_code=204, response_class=Response)
async def remove_reference(name: str, state: StateDep, _local: LoopbackOnly) -> None:
    """Remove a reference that was stored here; one that came with the store stays (409)."""
    await asyncio.to_thread(state.references.remove, name)


def _checked(fields: dict[str, str]) -> ReferenceRequest:
    try:
        return ReferenceRequest.model_validate(fields)
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error
