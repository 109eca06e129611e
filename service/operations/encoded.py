"""JSON that brings image files as text, read at a bounded cost."""

from typing import Any

import numpy as np

from service.errors import InvalidRequest
from service.imaging.texts import bytes_of_text
from service.operations.documents import bounded, parsed

MOST_IMAGES = 4096
"""Images of one body, as of one form."""


def read_encoded(data: bytes) -> dict[str, Any]:
    """The object of a body, with the bytes of `image`, or of each of a list of them, as arrays uint8 (n,).

    Raises InvalidRequest, which names the image.
    """
    document = parsed(data)
    if not isinstance(document, dict) or "image" not in document:
        raise InvalidRequest.of_field("image", "send a JSON object with an image in base64, or a list of them")
    given = document.pop("image")
    if isinstance(given, list) and not 1 <= len(given) <= MOST_IMAGES:
        raise InvalidRequest.of_field("image", f"{len(given):,} images; 1 to {MOST_IMAGES:,} are read")
    found = (
        [_decoded(f"image[{place}]", text) for place, text in enumerate(given)]
        if isinstance(given, list)
        else _decoded("image", given)
    )
    rest: dict[str, Any] = bounded(document)
    return {"image": found, **rest}


def _decoded(name: str, text: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if not isinstance(text, str):
        raise InvalidRequest.of_field(name, "must be a string: an image file in base64, or a data URL")
    try:
        return np.frombuffer(bytes_of_text(text), np.uint8)
    except ValueError as error:
        raise InvalidRequest.of_field(name, str(error)) from error
