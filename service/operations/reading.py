"""The kinds of JSON that requests come in, and what reads each, in a front or beside it."""

from collections.abc import Callable
from typing import Any, Literal

from service.operations.documents import read_document
from service.operations.encoded import read_encoded
from service.operations.inference.documents import read_tensors

DocumentKind = Literal["document", "images", "tensors"]

READERS: dict[DocumentKind, Callable[[bytes], Any]] = {
    "document": read_document,
    "images": read_encoded,
    "tensors": read_tensors,
}
