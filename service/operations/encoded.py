"""JSON that brings image files as text, read at a bounded cost."""

from typing import Any

import numpy as np

from service.errors import InvalidRequest
from service.imaging.texts import bytes_of_text
from service.operations.documents import bounded, parsed

MOST_IMAGES = 4096
"""Images of one body, as of one form."""
MEANT = 'send {"image": "…"} with an image in base64, or with a list of images'


def read_encoded(data: bytes) -> dict[str, Any]:
    """The object of a body, with the bytes of `image`, or of each of a list of them, as arrays uint8 (n,).

    A list of objects with an image each is one object with a list of images. Raises InvalidRequest, which names the
    image.
    """
    document = parsed(data)
    if isinstance(document, list):
        document = {"image": [_only_image(place, member) for place, member in enumerate(_counted(document))]}
    if not isinstance(document, dict) or "image" not in document:
        raise InvalidRequest.of_field("image", MEANT)
    given = document.pop("image")
    found = (
        [_decoded(f"image[{place}]", text) for place, text in enumerate(_counted(given))]
        if isinstance(given, list)
        else _decoded("image", given)
    )
    rest: dict[str, Any] = bounded(document)
    return {"image": found, **rest}


def _counted(images: list[Any]) -> list[Any]:
    if not 1 <= len(images) <= MOST_IMAGES:
        raise InvalidRequest.of_field("image", f"{len(images):,} images; 1 to {MOST_IMAGES:,} are read")
    return images


def _only_image(place: int, member: Any) -> Any:
    if not isinstance(member, dict) or "image" not in member:
        raise InvalidRequest.of_field(f"image[{place}]", MEANT)
    if len(member) > 1:
        raise InvalidRequest.of_field(
            f"image[{place}]", "in a list of objects each has an image, and the query the rest"
        )
    return member["image"]


def _decoded(name: str, text: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if not isinstance(text, str):
        raise InvalidRequest.of_field(name, "must be a string: an image file in base64, or a data URL")
    if not text:
        raise InvalidRequest.of_field(name, "is empty; send an image file in base64, or a data URL")
    try:
        return np.frombuffer(bytes_of_text(text), np.uint8)
    except ValueError as error:
        raise InvalidRequest.of_field(name, str(error)) from error
