"""The kinds of JSON that requests come in, and what reads each, in a front or beside it."""

from collections.abc import Callable
from typing import Any, Literal

from service.operations.documents import read_document
from service.operations.inference.documents import read_tensors

DocumentKind = Literal["document", "tensors"]

READERS: dict[DocumentKind, Callable[[bytes], Any]] = {
    "document": read_document,
    "tensors": read_tensors,
}
