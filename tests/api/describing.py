"""The OpenAPI document, held against what the service really answers."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from service.api.gate import Application

Document = dict[str, Any]

ALWAYS = ("Retry-After", "WWW-Authenticate", "X-Model", "X-Model-Version", "X-Request-Id")
"""Headers that every answer has of which the document says so."""
_DOCUMENTS: list[Document] = []


def document_of(app: Application) -> Document:
    """The document, made once: every application has the same."""
    if not _DOCUMENTS:
        _DOCUMENTS.append(app.openapi())
    return _DOCUMENTS[0]


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Path, method and description of every operation."""
    for path, verbs in document["paths"].items():
        for method, operation in verbs.items():
            yield path, method, operation


def validator(document: Document, schema: Document) -> Draft202012Validator:
    """A validator of one of the document's schemas."""
    return Draft202012Validator({**schema, "components": document["components"]})


def assert_described(reply: httpx.Response, document: Document) -> None:
    """The operation that was asked has such an answer: its status, headers, media type and members."""
    request = reply.request
    for path, method, operation in operations(document):
        asked = request.url.path if request.url.path in document["paths"] else None
        if method == request.method.lower() and _pattern(path)(request.url.path) and asked in (None, path):
            described = operation["responses"].get(str(reply.status_code))
            assert described, f"{operation['operationId']} answers {reply.status_code}"
            missing = [name for name in described["headers"] if name in ALWAYS and name not in reply.headers]
            assert not missing, f"{operation['operationId']} answers {reply.status_code} without {missing}"
            _assert_content(reply, described.get("content"), document)


def _assert_content(reply: httpx.Response, content: Document | None, document: Document) -> None:
    if content is None:
        assert not reply.content
        return
    kind = reply.headers["content-type"].partition(";")[0]
    assert kind in content
    if kind.endswith("json"):
        validator(document, content[kind]["schema"]).validate(reply.json())


@cache
def _pattern(path: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", path)).fullmatch
