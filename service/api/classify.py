"""`POST /classify`: what is in the picture, for one image or a form of them."""

import io
import re
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from fastapi import Response

from service.api.bodies import IMAGE_BODY_TYPES, Part, Sink, boundary_of, chunks, read_body, read_form
from service.api.gate import Exchange, Watch
from service.api.problems import PROBLEM_RESPONSES
from service.errors import InvalidRequest, UnsupportedMediaType
from service.operations.classify import TOP_K_DEFAULT, TOP_K_LIMIT, Labelling, check_top_k
from service.runtime.calls import EngineClient
from service.settings import Settings
from service.store import Model, ModelStore

OPENAPI: dict[str, Any] = {
    "post": {
        "tags": ["models"],
        "summary": "Classify",
        "description": "The likeliest labels of one image (raw body) or of each image of a form, in the order sent.",
        "operationId": "classify",
        "parameters": [
            {
                "name": "model",
                "in": "query",
                "schema": {"type": "string"},
                "description": "A model of task `classify`; the default classifier unless given.",
            },
            {
                "name": "top_k",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": TOP_K_LIMIT, "default": TOP_K_DEFAULT},
            },
            {
                "name": "X-Deadline-Ms",
                "in": "header",
                "schema": {"type": "number"},
                "description": "Work that would answer later is dropped (504).",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                    }
                },
            },
        },
        "responses": {
            "200": {
                "description": "Labels, likeliest first; an unreadable image of a form has an `error` in its place.",
                "content": {
                    "application/json": {
                        "example": {
                            "model": "lenet5-mnist",
                            "version": "0123456789ab",
                            "calibrated": True,
                            "strangeness_limit": 5.58,
                            "predictions": [
                                {
                                    "name": None,
                                    "labels": [{"label": "7", "index": 7, "probability": 0.99}],
                                    "strangeness": 1.85,
                                    "notes": [],
                                }
                            ],
                        }
                    }
                },
            },
            **{str(code): answer for code, answer in PROBLEM_RESPONSES.items()},
        },
    }
}


class Query(NamedTuple):
    """The query string of a request."""

    model: str | None
    top_k: int


@lru_cache(maxsize=1024)
def parse_query(text: bytes) -> Query:
    """The query string's fields. Raises InvalidRequest."""
    fields = dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True))
    unknown = fields.keys() - {"model", "top_k"}
    if unknown:
        raise InvalidRequest(f"/classify has no parameter {', '.join(sorted(unknown))}; it has model and top_k.")
    top_k = fields.get("top_k", str(TOP_K_DEFAULT))
    whole = re.fullmatch("[0-9]{1,9}", top_k) is not None
    return Query(fields.get("model"), check_top_k(int(top_k) if whole else 0))


class Picture(io.BytesIO):
    """One file of a form."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def close(self) -> None:
        """Keep the bytes: the part is whole, and is read after this."""


class ClassifyPath:
    """The hot path of `/classify`."""

    def __init__(self, settings: Settings, store: ModelStore, engine: EngineClient) -> None:
        self._settings = settings
        self._store = store
        self._engine = engine

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer one request. Raises ServiceError."""
        query = parse_query(exchange.scope["query_string"])
        model = self._store.get(query.model or self._settings.default_classifier, task="classify")
        deadline = exchange.deadline()
        labelling = await self._understand(exchange, model, query.top_k)
        with Watch(exchange.receive):
            answer = await labelling.ask(self._engine, deadline=deadline, request_id=exchange.request_id)
        return Response(orjson.dumps(answer), media_type="application/json")

    async def _understand(self, exchange: Exchange, model: Model, top_k: int) -> Labelling:
        """The request that a body makes, raw or as a form. Raises ServiceError."""
        content_type = exchange.headers.get(b"content-type", b"")
        kind = content_type.partition(b";")[0].strip().lower()
        limit_pixels = self._settings.image_limit_pixels
        if kind in IMAGE_BODY_TYPES:
            data = await self._read(exchange)
            return Labelling.of_one(data, model, top_k=top_k, limit_pixels=limit_pixels)
        if kind == b"multipart/form-data":
            pictures = await self._read_form(exchange, content_type)
            images = ((picture.name, picture.getvalue()) for picture in pictures)
            return Labelling.of(images, model, top_k=top_k, limit_pixels=limit_pixels)
        raise UnsupportedMediaType(
            f"{kind.decode('latin-1')} is not read here; send an image (image/png, image/jpeg, …) "
            "or a form (multipart/form-data) of images."
        )

    async def _read(self, exchange: Exchange) -> bytes:
        length = exchange.headers.get(b"content-length")
        return await read_body(exchange.receive, limit=self._settings.body_limit_bytes, content_length=length)

    async def _read_form(self, exchange: Exchange, content_type: bytes) -> list[Picture]:
        pictures: list[Picture] = []

        def open_part(part: Part) -> Sink:
            pictures.append(Picture(part.filename or part.name))
            return pictures[-1]

        body = chunks(
            exchange.receive,
            limit=self._settings.body_limit_bytes,
            content_length=exchange.headers.get(b"content-length"),
        )
        await read_form(body, boundary_of(content_type), open_part)
        if not pictures:
            raise InvalidRequest("The form holds no image.")
        return pictures
