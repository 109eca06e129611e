"""In whose form an error is told: the Open Inference Protocol's below `/v2`, problem details everywhere else."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.errors import ServiceError
from service.operations.inference.schemas import ChangeRequest, IndexRequest, InferBody

V2 = "/v2"
JSON = "application/json"
COMPONENT = "#/components/schemas/"
INVALID, MALFORMED = 422, 400
"""What is wrong with a request has the first status, and below `/v2` the second."""
_REFUSAL: dict[str, Any] = {
    "title": "InferRefusal",
    "type": "object",
    "description": "What every error below `/v2` answers.",
    "properties": {"error": {"type": "string", "description": "What happened this time."}},
    "required": ["error"],
}


_BODIES: tuple[type[BaseModel], ...] = (InferBody, IndexRequest, ChangeRequest)
"""What is read below `/v2` and not by FastAPI, which would describe it itself."""


def own_components() -> dict[str, Any]:
    """The schemas that the document needs for what is asked and answered below `/v2`."""
    _, found = models_json_schema([(body, "validation") for body in _BODIES], ref_template=COMPONENT + "{model}")
    return {**found["$defs"], "InferRefusal": _REFUSAL}


def body_of(kind: type[BaseModel], **beside: Any) -> dict[str, Any]:
    """What an operation says of a body of this kind, which may be left out unless it is asked for `beside`."""
    content = {JSON: {"schema": {"$ref": COMPONENT + kind.__name__}}}
    return {"requestBody": {"required": bool(beside), "content": {**content, **beside}}}


def own_path(scope: Mapping[str, Any]) -> str:
    """The path of a request as the service knows it, without the prefix of a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def speaks_v2(path: str) -> bool:
    """Whether whoever asks for this path speaks the Open Inference Protocol."""
    return path == V2 or path.startswith(f"{V2}/")


def v2_status(status: int) -> int:
    """The status below `/v2` of an error that has this one elsewhere."""
    return MALFORMED if status == INVALID else status


def v2_document(error: ServiceError) -> dict[str, str]:
    """An error as the members of the protocol's."""
    return {"error": str(error.problem()["detail"]) or error.title}


def told_as_v2(responses: dict[str, Any]) -> dict[str, Any]:
    """What the document says of an operation's answers, its errors in the protocol's form and with its statuses."""
    found: dict[str, Any] = {}
    for status, answer in responses.items():
        if int(status) < MALFORMED:
            found[status] = answer
            continue
        own = str(v2_status(int(status)))
        words = " ".join(filter(None, [found.get(own, {}).get("description"), answer["description"]]))
        schema = {"$ref": f"{COMPONENT}InferRefusal"}
        content = {JSON: {"schema": schema, "example": {"error": answer["description"]}}}
        found[own] = {**answer, "description": words, "content": content}
    return found
