"""Images for those who cannot send bytes: JSON with base64 or data URLs; and the one image of a form."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import Receive

from service.api.bodies import Part, Sink, chunks, read_body, read_form, weigh_document
from service.api.gate import Holding
from service.api.negotiation import JSON
from service.api.pictures import Picture
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
    listed = {"type": "array", "minItems": 1, "maxItems": MOST_IMAGES if several else 1, "items": ENCODED}
    schema = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"anyOf": [ENCODED, listed]}, **options},
        "additionalProperties": False,
    }
    return {"schema": schema, "example": {"image": EXAMPLE}}


async def read_json(
    receive: Receive, holding: Holding, readers: Readers, *, limit: int, content_length: bytes | None
) -> Sent:
    """The images of a body of JSON. Raises InvalidRequest, BodyTooLarge, Overloaded."""
    data = await read_body(receive, limit=limit, content_length=content_length)
    if not data:
        raise InvalidRequest("The body is empty; send a JSON object with an image in base64.")
    await weigh_document(holding, data)
    document = await readers.document(data, kind="images")
    images = document.pop("image")
    alone = not isinstance(images, list)
    fields = {name: _as_written(name, value) for name, value in document.items()}
    return Sent([image.tobytes() for image in ([images] if alone else images)], fields, alone)


async def read_one_of_form(receive: Receive, boundary: bytes, *, limit: int, content_length: bytes | None) -> bytes:
    """The one image of a form. Raises InvalidRequest for none, for more, and for fields that are no files."""
    pictures: list[Picture] = []

    def open_part(part: Part) -> Sink:
        if part.filename is None and part.name != "image":
            raise InvalidRequest.of_field(part.name[:100], "only the image goes into the form; the query says the rest")
        pictures.append(Picture(part.filename or part.name))
        return pictures[-1]

    await read_form(chunks(receive, limit=limit, content_length=content_length), boundary, open_part)
    if len(pictures) != 1:
        raise InvalidRequest(f"The form holds {len(pictures) or 'no'} images; one is explained at a time.")
    return pictures[0].getvalue()


def _as_written(name: str, value: Any) -> str:
    """A member as a query would write it. Raises InvalidRequest for one that there is not, or of another type."""
    known = OPTIONS.get(name)
    if known is None:
        raise InvalidRequest.of_field(name[:100], f"there is no such member; there are image, {', '.join(OPTIONS)}")
    kind = {"string": str, "integer": int, "boolean": bool}[known["type"]]
    if type(value) is not kind:
        raise InvalidRequest.of_field(name, f"must be a JSON {known['type']}")
    return str(value).lower() if kind is bool else str(value)
