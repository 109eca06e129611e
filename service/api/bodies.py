"""Request bodies, read as they stream in and never past their limits: raw bytes, and the parts of a form."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from service.api.gate import Holding
from service.api.openapi import BINARY, FORM
from service.api.presence import CallerGone
from service.api.readers import QUICK_DOCUMENT_BYTES
from service.api.state import state_of
from service.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from service.imaging import MEDIA_TYPES

UNSAID = ("application/octet-stream", "binary/octet-stream")
"""What clients call bytes of which they do not say what they are; the second is what object stores make of it."""
IMAGE_BODY_TYPES = frozenset({b"", *(name.encode() for name in (*UNSAID, *MEDIA_TYPES))})
"""The types of a body that is one image; its bytes say which kind of image."""
IMAGE_BODY: dict[str, Any] = dict.fromkeys((*sorted(MEDIA_TYPES), *UNSAID), BINARY)
"""What the document says of such a body."""
PART_HEADER_LIMIT = 8192
PARTS_LIMIT = 4096
FORM_KIND = FORM.encode()
LENGTH_DIGITS = 20
WEIGHED_AT_ONCE_BYTES = 1 << 18
UNFOLDED_BYTES = {b",": 32, b"{": 96, b"[": 64, b'"': 32}
"""What JSON becomes in memory, by its signs: a value follows each comma, an object each brace, a text two quotes."""

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a malformed form is its sender's affair


def declared_length(content_length: bytes | None, limit: int) -> int:
    """The bytes that a caller says a body has, 0 where it does not say. Raises BodyTooLarge."""
    if content_length is None or not content_length.isdigit():
        return 0
    size = int(content_length) if len(content_length) <= LENGTH_DIGITS else limit + 1
    if size > limit:
        raise BodyTooLarge(f"The body has {size:,} bytes; at most {limit:,} are read.")
    return size


async def chunks(receive: Receive, *, limit: int, content_length: bytes | None) -> AsyncIterator[bytes]:
    """The pieces of a body. Raises BodyTooLarge as soon as the limit is passed, CallerGone when the client hangs up."""
    declared_length(content_length, limit)
    read = 0
    more = True
    while more:
        chunk, more = await _piece(receive, limit, read)
        read += len(chunk)
        yield chunk


async def read_body(receive: Receive, *, limit: int, content_length: bytes | None) -> bytes:
    """A whole body. Raises BodyTooLarge, CallerGone."""
    declared_length(content_length, limit)
    first, more = await _piece(receive, limit, 0)
    if not more:  # as nearly all come
        return first
    pieces, read = [first], len(first)
    while more:
        chunk, more = await _piece(receive, limit, read)
        pieces.append(chunk)
        read += len(chunk)
    return b"".join(pieces)


async def _piece(receive: Receive, limit: int, read: int) -> tuple[bytes, bool]:
    """The next piece of a body of which so much has been read, and whether more follows."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerGone
    chunk: bytes = message.get("body", b"")
    if read + len(chunk) > limit:
        raise BodyTooLarge(f"The body is larger than {limit:,} bytes, the most that is read.")
    return chunk, message.get("more_body", False)


async def weigh_document(holding: Holding, data: bytes) -> None:
    """Have a body of JSON take the memory that it unfolds to, many times its own. Raises Overloaded, BodyTooLarge."""
    if len(data) <= QUICK_DOCUMENT_BYTES:
        return
    for start in range(0, len(data), WEIGHED_AT_ONCE_BYTES):
        part = data[start : start + WEIGHED_AT_ONCE_BYTES]
        holding.hold(sum(part.count(sign) * size for sign, size in UNFOLDED_BYTES.items()))
        await asyncio.sleep(0)  # others' turn


class JSONRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, data: bytes, document: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._data = data
        self._document = document

    async def body(self) -> bytes:
        """The bytes."""
        return self._data

    async def json(self) -> Any:
        """The document that they hold."""
        return self._document


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def reading_json(handler: Handler) -> Handler:
    """A handler given a body of JSON: within the limit (413), of no other type (415), and well formed (422)."""

    async def handle(request: Request) -> Response:
        limit = state_of(request).settings.body_limit_bytes
        length = request.headers.get("content-length", "").encode("latin-1")
        data = await read_body(request.receive, limit=limit, content_length=length)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not data:
            raise InvalidRequest("The body is empty; send a JSON object.")
        if kind != "application/json":
            raise UnsupportedMediaType(f"{kind or 'A body without a type'} is not read here; send application/json.")
        await weigh_document(request.state.holding, data)
        document = await state_of(request).readers.document(data)
        return await handler(JSONRequest(request, data, document))

    return handle


@dataclass(frozen=True, slots=True)
class Part:
    """What the header of a form's part says."""

    name: str
    filename: str | None


class Sink(Protocol):
    """Where the bytes of one part go."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...

    def close(self) -> None:
        """The part is whole."""
        ...


def boundary_of(content_type: bytes) -> bytes:
    """The boundary of a multipart form. Raises UnsupportedMediaType for another type, InvalidRequest without one."""
    kind, options = parse_options_header(content_type)
    if kind != FORM_KIND:
        raise UnsupportedMediaType(
            f"{kind.decode('latin-1') or 'A body without a type'} is not read here; send multipart/form-data."
        )
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("The Content-Type of a form needs a boundary.")
    return boundary


async def read_form(body: AsyncIterator[bytes], boundary: bytes, open_part: Callable[[Part], Sink]) -> None:
    """Send each part of a form to the sink that `open_part` gives for it. Raises InvalidRequest."""
    reader = _FormReader(open_part)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        begun = False
        async for chunk in body:
            data = chunk if begun else chunk.lstrip(b"\r\n")  # behind newlines the parser passes over more than those
            begun = begun or bool(data)
            parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest(f"The form is malformed: {error}") from error
    finally:
        reader.close()
    if not reader.ended:
        raise InvalidRequest("The form ends before its last boundary.")


class _FormReader:
    """Turns the parser's callbacks into parts."""

    def __init__(self, open_part: Callable[[Part], Sink]) -> None:
        self._open_part = open_part
        self._field = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._sink: Sink | None = None
        self._parts = 0
        self.ended = False

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > PARTS_LIMIT:
            raise InvalidRequest(f"The form has more than {PARTS_LIMIT} parts.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._limit_header()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._limit_header()

    def _limit_header(self) -> None:
        if len(self._field) + len(self._value) > PART_HEADER_LIMIT:
            raise InvalidRequest("A part of the form has too long a header.")

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise InvalidRequest("A part of the form has no name.")
        filename = options.get(b"filename")
        self._sink = self._open_part(
            Part(name.decode("utf-8", "replace"), None if filename is None else filename.decode("utf-8", "replace"))
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._sink is not None
        self._sink.write(data[start:end])

    def _end(self) -> None:
        self.ended = True

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
