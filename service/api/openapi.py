"""The OpenAPI document: what FastAPI knows of the routes, and what holds for every one of them."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from pydantic import BaseModel

from service.api.access.needs import need_of
from service.api.dialects import own_components, speaks_v2, told_as_v2
from service.api.examples import FORMS, SCHEMAS, TEXTS
from service.api.problems import PROBLEM_TYPE
from service.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    Draining,
    Forbidden,
    InvalidRequest,
    KeyNeeded,
    LimitReached,
    NotAcceptable,
    Overloaded,
    ServiceError,
    error_types,
)

Document = dict[str, Any]
FORM = "multipart/form-data"
ERRORS = "400"
"""The first status of an answer that is no success."""

BINARY: Document = {"schema": {"type": "string", "format": "binary"}}
TEXT: Document = {"schema": {"type": "string"}}
TAGS = [
    {"name": "models", "description": "What the networks do, and which of them there are."},
    {
        "name": "inference",
        "description": "The same networks in the Open Inference Protocol, for clients that speak it.",
    },
    {"name": "evaluation", "description": "How good generated samples are, and what they are compared with."},
    {"name": "operations", "description": "What orchestrators and Prometheus ask."},
]
PARAMETER_HEADERS: Document = {
    "X-Deadline-Ms": {
        "name": "X-Deadline-Ms",
        "in": "header",
        "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9},
        "description": "Milliseconds after which no answer is wanted any more: work that would answer later is "
        "dropped (504). An answer that has begun goes on.",
        "example": 2000,
    },
    "X-Request-Id": {
        "name": "X-Request-Id",
        "in": "header",
        "schema": {"type": "string"},
        "description": "What the answer and the log call this request; made up unless given.",
        "example": "build-4711",
    },
}
ANSWER_HEADERS: Document = {
    "Content-Disposition": {"description": "The name of the file.", "schema": {"type": "string"}},
    "Location": {"description": "Where to ask for it.", "schema": {"type": "string", "format": "uri-reference"}},
    "Retry-After": {"description": "Seconds after which to ask again.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}},
    "X-Count": {"description": "How many samples there are.", "schema": {"type": "integer", "minimum": 1}},
    "X-Model": {"description": "The model that answered.", "schema": {"type": "string"}},
    "X-Model-Form": {
        "description": "The form in which the classifier computed it: `plain`, or a faster one that its card allows.",
        "schema": {"type": "string"},
    },
    "X-Model-Version": {
        "description": "The first digits of its weights' sha256.",
        "schema": {"type": "string"},
    },
    "X-Request-Id": {"description": "The request's, or a new one.", "schema": {"type": "string"}},
    "X-Seed": {"description": "The seed, with which the same samples are drawn again.", "schema": {"type": "integer"}},
}


def headers(*names: str) -> Document:
    """These headers of an answer, as the document refers to them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


SCHEME = "key"
KEY: Document = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `chapterhouse keys create`, with the scopes `infer`, `evaluate` and `admin`, of which an "
    "operation names one that it needs. Where no keys have been made, only what changes the service needs a token: "
    "that which it writes into its state directory at start.",
}
OF_MODEL = headers("X-Model", "X-Model-Version")
"""The headers of every answer that a model gave."""


def form_of(
    files: Mapping[str, str],
    fields: type[BaseModel],
    *,
    passed_over: Collection[str] = (),
    patterns: Mapping[str, Document] | None = None,
    filled: Collection[str] = (),
) -> Document:
    """A form of these files, the first of which is needed, and what they are; with a request's fields beside them.

    Other fields are refused, but for those whose names fit one of the `patterns`; what is to be `filled` is not blank.
    """
    described = fields.model_json_schema()["properties"].items()
    schema: Document = {
        "type": "object",
        "required": [next(iter(files))],
        "properties": {
            **{name: {**BINARY["schema"], "description": what} for name, what in files.items()},
            **{name: _as_sent(field) for name, field in described if name not in passed_over},
            **{name: {**_as_sent(field), "pattern": r"\S"} for name, field in described if name in filled},
        },
        **({"patternProperties": dict(patterns)} if patterns else {}),
        "additionalProperties": False,
    }
    return {"required": True, "content": {FORM: {"schema": schema}}}


def _as_sent(field: Document) -> Document:
    """A field of a form: never null, and a list is words with commas between them."""
    kind = _never_null(field)
    told = {name: field[name] for name in ("default", "description") if field.get(name) is not None}
    return {**({"type": "string"} if kind["type"] == "array" else kind), **told}


def _never_null(schema: Document) -> Document:
    """The schema of what is no JSON, a parameter or a field of a form: it is left out, and never null."""
    if "anyOf" not in schema:
        return schema
    kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
    beside = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}), **beside}


def refusals(*kinds: type[ServiceError]) -> dict[int | str, Document]:
    """What a route's `responses` say of these errors: the kinds of one status together."""
    by_status: dict[int | str, Document] = {}
    for kind in kinds:
        _add_refusal(by_status.setdefault(int(kind.status), {}), kind)
    return by_status


def completed(document: Document) -> Document:
    """FastAPI's document with the errors, headers and examples of every operation. Changes it in place."""
    for path, method, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _never_null(parameter["schema"])
        every = [{"$ref": f"#/components/parameters/{name}"} for name in PARAMETER_HEADERS]
        operation["parameters"] = [*operation.get("parameters", ()), *every]
        _add_refusals(operation["responses"], method)
        _add_security(operation, method.upper(), path)
        _add_examples(operation)
        answers = told_as_v2(operation["responses"]) if speaks_v2(path) else operation["responses"]
        operation["responses"] = {
            status: {**answer, "headers": {**answer.get("headers", {}), **headers("X-Request-Id")}}
            for status, answer in sorted(answers.items())
        }
    document["components"]["schemas"] |= own_components()
    kinds = {name: kind for name, kind in error_types().items() if kind.__module__ == ServiceError.__module__}
    document["components"] |= {
        "examples": {name: {"summary": kind.title, "value": _shown(kind)} for name, kind in kinds.items()},
        "headers": ANSWER_HEADERS,
        "parameters": PARAMETER_HEADERS,
        "securitySchemes": {SCHEME: KEY},
    }
    return document


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, verbs in document["paths"].items():
        for method, operation in verbs.items():
            yield path, method, operation


def _add_refusal(answer: Document, kind: type[ServiceError]) -> None:
    """Let an answer's description tell of this kind, too."""
    problem = answer.setdefault("content", {}).setdefault(PROBLEM_TYPE, {})
    problem["schema"] = {"$ref": "#/components/schemas/Problem"}
    problem.setdefault("examples", {})[kind.__name__] = {"$ref": f"#/components/examples/{kind.__name__}"}
    answer["description"] = " ".join(f"{error_types()[name].title}." for name in problem["examples"])
    if kind.retry_after_s is not None:
        answer["headers"] = {**answer.get("headers", {}), **headers("Retry-After")}
    if kind is KeyNeeded:
        answer["headers"] = {**answer.get("headers", {}), **headers("WWW-Authenticate")}


def _add_refusals(responses: Document, method: str) -> None:
    """The errors that any operation of this kind can meet, beside those that its route names."""
    kinds: list[type[ServiceError]] = [InvalidRequest, DeadlineExceeded, ServiceError]
    if any("content" in answer for status, answer in responses.items() if status < ERRORS):
        kinds.append(NotAcceptable)
    if method != "get":
        kinds += [Overloaded, Draining]
    for kind in kinds:
        _add_refusal(responses.setdefault(str(int(kind.status)), {}), kind)


def _add_security(operation: Document, method: str, path: str) -> None:
    """Which scopes of a key let a caller use an operation, and how it is refused without; `{}` where none may do."""
    need = need_of(method, path)
    if need.is_open:
        operation["security"] = []
        return
    keyless: list[Document] = [{}] if need.is_keyless(method) else []
    operation["security"] = [*keyless, *({SCHEME: [str(scope)]} for scope in sorted(need.scopes))]
    for kind in (KeyNeeded, Forbidden, LimitReached, DatabaseUnavailable):
        _add_refusal(operation["responses"].setdefault(str(int(kind.status)), {}), kind)


def _shown(kind: type[ServiceError]) -> Mapping[str, object]:
    """A problem of this kind: its detail says what such errors have in common."""
    return kind((kind.__doc__ or "").partition("\n")[0]).problem()


def _add_examples(operation: Document) -> None:
    """An example of each body and answer that is known by its media type, operation or schema and has none yet."""
    bodies = operation.get("requestBody", {}).get("content", {})
    answers = [answer.get("content", {}) for status, answer in operation["responses"].items() if status < ERRORS]
    for media_type, content in chain(bodies.items(), *(answer.items() for answer in answers)):
        known = FORMS.get(operation["operationId"]) if media_type == FORM else TEXTS.get(media_type)
        known = known or SCHEMAS.get(_component(content["schema"]))
        if known is not None:
            content.setdefault("example", known)


def _component(schema: Document) -> str:
    """The name of a schema, or of the first of several; empty for one without a name."""
    reference: str = schema.get("anyOf", [schema])[0].get("$ref", "")
    return reference.rpartition("/")[2]
