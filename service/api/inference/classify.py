"""`POST /classify`: what is in the picture, for one image or a form of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Any, NamedTuple, Self, TypeAlias

import numpy as np
import orjson
from fastapi import APIRouter, Query, Response

from service.api.access.proxies import RawHeaders
from service.api.bodies import (
    FORM_KIND,
    IMAGE_BODY,
    IMAGE_BODY_TYPES,
    Part,
    Sink,
    boundary_of,
    chunks,
    read_body,
    read_form,
)
from service.api.deadlines import Deadline
from service.api.gate import Exchange
from service.api.inference.images import JSON_KIND, OPTIONS, described, read_json, texts_of
from service.api.inference.pictures import Picture
from service.api.models import FORM_HEADER, Version, form_of, headers_of
from service.api.negotiation import JSON, REMEMBERED, choose
from service.api.noting import MODEL
from service.api.openapi import BINARY, OF_MODEL, headers, refusals
from service.api.outgoing import Reply, lines_of
from service.api.presence import watch
from service.api.queries import read_query
from service.api.readers import Readers, is_quick
from service.api.routes import Endpoint
from service.api.state import State
from service.api.together import Question, Sent
from service.errors import (
    BodyTooLarge,
    EngineUnavailable,
    InvalidRequest,
    ModelFailed,
    ModelNotFound,
    UnreadableImage,
    UnsupportedMediaType,
    WrongTask,
)
from service.operations.choosing import choose_model
from service.operations.classify import TOP_K_DEFAULT, TOP_K_LIMIT, Labelling, call_of, check_top_k
from service.runtime.calls import Array, Call, Engines
from service.schemas import Classification
from service.store import Model
from service.tasks.classify import Prepared

router = APIRouter(tags=["models"], route_class=Endpoint)

TRUTHS = {"true": True, "1": True, "false": False, "0": False}

FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "description": "Any number of images, whatever their fields are called, and what the query may name as well.",
        "properties": {
            "image": {"type": "array", "items": BINARY["schema"]},
            "model": {"type": "string"},
            "version": {"type": "string"},
            "top_k": {"type": "integer", "minimum": 1, "maximum": TOP_K_LIMIT},
            "as_is": {"type": "boolean"},
        },
        "additionalProperties": BINARY["schema"],
    }
}
BODIES = {**IMAGE_BODY, FORM_KIND.decode(): FORM, JSON: described(OPTIONS, several=True)}
CLASSIFICATION: dict[str, Any] = {
    "model": Classification,
    "description": "Labels, likeliest first; an unreadable image of a form has an `error` in its place.",
    "headers": {**OF_MODEL, **headers("X-Model-Form")},
}


@router.post(
    "/classify",
    summary="Classify",
    response_class=Response,
    responses={
        200: CLASSIFICATION,
        **refusals(ModelNotFound, WrongTask, BodyTooLarge, UnsupportedMediaType, UnreadableImage),
        **refusals(ModelFailed, EngineUnavailable),
    },
    openapi_extra={"requestBody": {"required": True, "content": BODIES}},
)
async def classify(
    model: Annotated[
        str | None,
        Query(
            description="A model of task `classify`; the default classifier unless given.", examples=["lenet5-mnist"]
        ),
    ] = None,
    version: Version = None,
    top_k: Annotated[
        int, Query(ge=1, le=TOP_K_LIMIT, description="How many labels of each image, at most.", examples=[3])
    ] = TOP_K_DEFAULT,
    as_is: Annotated[  # noqa: FBT002 - a field of the query
        bool,
        Query(description="Take images as they are, not as the model's training images were drawn.", examples=[False]),
    ] = False,
) -> Response:
    """The likeliest labels of one image (raw body), or of each image of a form or of JSON, in the order sent."""
    raise NotImplementedError  # ClassifyPath answers at the gate: this declares and describes what it does


class Asked(NamedTuple):
    """What is asked of images, by the query string or by fields of the form."""

    model: str | None
    version: str | None
    top_k: int
    as_is: bool

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """What these fields ask. Raises InvalidRequest."""
        top_k = fields.get("top_k", str(TOP_K_DEFAULT))
        whole = re.fullmatch("[0-9]{1,9}", top_k) is not None
        as_is = fields.get("as_is", "false").lower()
        if as_is not in TRUTHS:
            raise InvalidRequest.of_field("as_is", f"must be one of {', '.join(TRUTHS)}")
        return cls(fields.get("model"), fields.get("version"), check_top_k(int(top_k) if whole else 0), TRUTHS[as_is])


@lru_cache(maxsize=1024)
def parse_query(text: bytes) -> tuple[dict[str, str], Asked]:
    """The query string's fields, and what they ask. Raises InvalidRequest."""
    fields = read_query("/classify", text, Asked._fields)
    return fields, Asked.of(fields)


ParsedQuery: TypeAlias = tuple[Mapping[str, str], Asked]


def _query_of(accept: bytes, query_string: bytes) -> ParsedQuery:
    """What is asked of whom JSON will do. Raises InvalidRequest, NotAcceptable."""
    query = parse_query(query_string)
    choose(accept.decode("latin-1"), (JSON,))
    return query


def _kind_of(content_type: bytes) -> bytes:
    """The type of a body."""
    return content_type.partition(b";")[0].strip().lower()


@lru_cache(maxsize=1024)
def _asked_of(accept: bytes, content_type: bytes, query_string: bytes) -> Asked | None:
    """What is asked of one raw image; None where the body is another one. Raises InvalidRequest, NotAcceptable."""
    _, asked = _query_of(accept, query_string)
    return asked if _kind_of(content_type) in IMAGE_BODY_TYPES else None


class ClassifyPath:
    """The hot path of `/classify`."""

    def __init__(self, state: State) -> None:
        self._settings = state.settings
        self._store = state.store
        self._engine = state.engines
        self._readers = state.readers
        self._labels = lru_cache(maxsize=256)(partial(_Labels, state.readers, state.engines))

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer one request. Raises ServiceError."""
        query = _query_of(exchange.headers.get(b"accept", b""), exchange.scope["query_string"])
        given = exchange.headers.get(b"x-deadline-ms")
        if given is None:
            return await self._answer(exchange, query, None)
        deadline = Deadline(given)
        async with deadline.kept():
            return await self._answer(exchange, query, deadline.at)

    async def _answer(self, exchange: Exchange, query: ParsedQuery, deadline: float | None) -> Reply:
        labelling = await self._understand(exchange, *query)
        model = labelling.model
        exchange.scope["state"][MODEL] = model.name
        with watch(exchange.scope, exchange.receive):
            answer = await labelling.ask(self._engine, deadline=deadline, request_id=exchange.request_id)
        return self._reply(model, answer)

    def ask(self, headers: Mapping[bytes, bytes], query_string: bytes, body: bytes) -> Sent | None:
        """What is to be asked about a raw image; None for other bodies, and for images that take longer to read.

        Raises ServiceError.
        """
        accept, kind = headers.get(b"accept", b""), headers.get(b"content-type", b"")
        asked_of = _asked_of if len(accept) + len(kind) <= REMEMBERED else _asked_of.__wrapped__
        asked = asked_of(accept, kind, query_string)
        if asked is None:
            return None
        model = self._find(asked)
        if not is_quick(body, model.input, as_is=asked.as_is):
            return None
        return Sent(self._labels(model, asked.top_k, asked.as_is), body)

    def _reply(self, model: Model, answer: dict[str, Any]) -> Reply:
        return _reply(answer, _written(model, form_of(self._engine, model)))

    async def _understand(self, exchange: Exchange, fields: Mapping[str, str], asked: Asked) -> Labelling:
        """The request that a body makes, raw or as a form. Raises ServiceError."""
        kind = _kind_of(exchange.headers.get(b"content-type", b""))
        if kind in IMAGE_BODY_TYPES:
            model = self._find(asked)
            image = await self._readers.image(await self._read(exchange), model.input, as_is=asked.as_is)
            return Labelling(model, asked.top_k, [None], [image])
        if kind == FORM_KIND:
            self._check(asked)  # what cannot be answered need not be read
            pictures, sent = await self._read_form(exchange)
            asked = Asked.of({**fields, **texts_of(sent, fields)})
            model = self._find(asked)
            files = (picture.getvalue() for picture in pictures)
            images = await self._readers.images(files, model.input, as_is=asked.as_is)
            return Labelling(model, asked.top_k, [picture.name for picture in pictures], images)
        if kind == JSON_KIND:
            return await self._of_json(exchange, fields, asked)
        raise UnsupportedMediaType(
            f"{kind.decode('latin-1')} is not read here; send an image (image/png, image/jpeg, …) "
            "or a form (multipart/form-data) of images, or JSON with them in base64."
        )

    async def _of_json(self, exchange: Exchange, fields: Mapping[str, str], asked: Asked) -> Labelling:
        """The request of a body of JSON; in a list an unreadable image is an error in its place."""
        self._check(asked)  # what cannot be answered need not be read
        limit, length = self._settings.body_limit_bytes, exchange.headers.get(b"content-length")
        holding = exchange.scope["state"]["holding"]
        sent = await read_json(exchange.receive, holding, self._readers, limit=limit, content_length=length)
        for name in sent.fields.keys() & fields.keys():
            raise InvalidRequest.of_field(name, "is given twice")
        asked = Asked.of({**fields, **sent.fields})
        model = self._find(asked)
        images = await self._readers.images(sent.images, model.input, as_is=asked.as_is)
        if sent.alone and isinstance(images[0], UnreadableImage):
            raise images[0]
        return Labelling(model, asked.top_k, [None] * len(images), images)

    def _check(self, asked: Asked) -> None:
        """Raises ModelNotFound, WrongTask for a model that the query names; whose version, the rest may say."""
        choose_model(self._store, self._settings, asked.model, "classify")

    def _find(self, asked: Asked) -> Model:
        return choose_model(self._store, self._settings, asked.model, "classify", version=asked.version)

    async def _read(self, exchange: Exchange) -> bytes:
        length = exchange.headers.get(b"content-length")
        return await read_body(exchange.receive, limit=self._settings.body_limit_bytes, content_length=length)

    async def _read_form(self, exchange: Exchange) -> tuple[list[Picture], list[Picture]]:
        """The images of a form, and the fields that are none. Raises InvalidRequest."""
        pictures: list[Picture] = []
        fields: list[Picture] = []

        def open_part(part: Part) -> Sink:
            is_field = part.filename is None and part.name in Asked._fields
            parts = fields if is_field else pictures
            parts.append(Picture(part.filename or part.name))
            return parts[-1]

        body = chunks(
            exchange.receive,
            limit=self._settings.body_limit_bytes,
            content_length=exchange.headers.get(b"content-length"),
        )
        await read_form(body, boundary_of(exchange.headers[b"content-type"]), open_part)
        if not pictures:
            raise InvalidRequest("The form holds no image.")
        return pictures, fields


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labels of single images by one model: what many requests ask alike."""

    readers: Readers
    engines: Engines
    model: Model
    top_k: int
    as_is: bool

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def call(self) -> Call:
        """What the model is asked."""
        return call_of(self.model.id)

    def read(self, bodies: Sequence[bytes]) -> list[Question | Exception]:
        """The images, decoded."""
        images = self.readers.images_at_once(bodies, self.model.input, as_is=self.as_is)
        return [image if isinstance(image, Exception) else Question(image.pixels, image.notes) for image in images]

    def replies(self, asked: Sequence[Question], found: Sequence[list[Array]]) -> list[Reply]:
        """An answer to each question, of its logits."""
        images: list[Prepared | UnreadableImage] = [Prepared(*each) for each in asked]
        logits = found[0][0] if len(found) == 1 else np.concatenate([arrays[0] for arrays in found])
        answer = Labelling(self.model, self.top_k, [None] * len(images), images).answer(logits)
        written = _written(self.model, form_of(self.engines, self.model))
        return [_reply({**answer, "predictions": [each]}, written) for each in answer["predictions"]]


def _reply(answer: dict[str, Any], written: tuple[RawHeaders, bytes]) -> Reply:
    body, (told, lines) = orjson.dumps(answer), written
    length = b"content-length", b"%d" % len(body)
    return Reply(200, [*told, length], body, b"%s%s: %s\r\n" % (lines, *length))


@lru_cache(maxsize=256)
def _written(model: Model, form: str) -> tuple[RawHeaders, bytes]:
    """The headers of an answer as they go out, but for its length; and the same as they are written."""
    told = {**headers_of(model), FORM_HEADER: form, "content-type": JSON}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
    return headers, lines_of(headers)
