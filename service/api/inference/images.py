"""Images for those who cannot send bytes: JSON with base64 or data URLs; and the one image of a form."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.types import Receive

from service.api.bodies import Part, Sink, chunks, read_body, read_form, weigh_document
from service.api.gate import Holding
from service.api.inference.pictures import Picture
from service.api.negotiation import JSON
from service.api.readers import Readers
from service.errors import InvalidRequest
from service.operations.encoded import MOST_IMAGES

JSON_KIND = JSON.encode()
ENCODED = {"type": "string", "minLength": 1, "description": "An image file in base64, or a data URL."}
OPTIONS: Mapping[str, Any] = {
    "model": {"type": "string"},
    "version": {"type": "string"},
    "top_k": {"type": "integer", "minimum": 1, "maximum": 1000},
    "as_is": {"type": "boolean"},
}
"""Members beside the images, as the query has them."""
EXAMPLE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


class Sent(NamedTuple):
    """What a body of JSON brought."""

    images: list[bytes]
    fields: dict[str, str]
    """What is asked of them, as a query would write it."""
    alone: bool
    """Whether it is one image by itself, and no list."""


def described(options: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    """What the document says of such a body."""
    most = MOST_IMAGES if several else 1
    alone = {"type": "object", "required": ["image"], "properties": {"image": ENCODED}, "additionalProperties": False}
    images = {"anyOf": [ENCODED, {"type": "array", "minItems": 1, "maxItems": most, "items": ENCODED}]}
    asked = {**alone, "properties": {"image": images, **options}}
    schema = {"anyOf": [asked, {"type": "array", "minItems": 1, "maxItems": most, "items": alone}]}
    return {"schema": schema, "example": {"image": EXAMPLE}}


async def read_json(
    receive: Receive,
    holding: Holding,
    readers: Readers,
    options: Mapping[str, Any] = OPTIONS,
    *,
    limit: int,
    content_length: bytes | None,
) -> Sent:
    """The images of a body of JSON, and what stands beside them. Raises InvalidRequest, BodyTooLarge, Overloaded."""
    data = await read_body(receive, limit=limit, content_length=content_length)
    if not data:
        raise InvalidRequest("The body is empty; send a JSON object with an image in base64.")
    await weigh_document(holding, data)
    document = await readers.document(data, kind="images")
    images = document.pop("image")
    alone = not isinstance(images, list)
    fields = {name: _as_written(name, value, options) for name, value in document.items()}
    return Sent([image.tobytes() for image in ([images] if alone else images)], fields, alone)


async def read_one_of_form(
    receive: Receive, boundary: bytes, options: Mapping[str, Any], *, limit: int, content_length: bytes | None
) -> Sent:
    """The images of a form, and its fields beside them. Raises InvalidRequest for a field that there is not."""
    pictures: list[Picture] = []
    fields: list[Picture] = []

    def open_part(part: Part) -> Sink:
        is_file = part.filename is not None or part.name == "image"
        if not is_file and part.name not in options:
            raise _unknown(part.name, options)
        parts = pictures if is_file else fields
        parts.append(Picture(part.filename or part.name))
        return parts[-1]

    await read_form(chunks(receive, limit=limit, content_length=content_length), boundary, open_part)
    return Sent([picture.getvalue() for picture in pictures], texts_of(fields), alone=len(pictures) == 1)


def texts_of(fields: Sequence[Picture], given: Collection[str] = ()) -> dict[str, str]:
    """The fields of a form by their names, beside those `given` elsewhere.

    Raises InvalidRequest for one that is given twice or is no text.
    """
    found: dict[str, str] = {}
    for field in fields:
        if field.name in found or field.name in given:
            raise InvalidRequest.of_field(field.name, "is given twice")
        try:
            found[field.name] = field.getvalue().decode().strip()
        except UnicodeDecodeError as error:
            raise InvalidRequest.of_field(field.name, "is not UTF-8") from error
    return found


def _as_written(name: str, value: Any, options: Mapping[str, Any]) -> str:
    """A member as a query would write it. Raises InvalidRequest for one that there is not, or of another type."""
    known = options.get(name)
    if known is None:
        raise _unknown(name, options)
    kind = {"string": str, "integer": int, "boolean": bool}[known["type"]]
    if type(value) is not kind:
        raise InvalidRequest.of_field(name, f"must be a JSON {known['type']}")
    return str(value).lower() if kind is bool else str(value)


def _unknown(name: str, options: Mapping[str, Any]) -> InvalidRequest:
    return InvalidRequest.of_field(name[:100], f"there is no such member; there are image, {', '.join(options)}")
