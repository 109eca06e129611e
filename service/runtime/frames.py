"""Messages of arrays on a byte stream: a fixed header, a line of JSON, then the arrays' own bytes.

    length u32 · meta length u32 · message id u64 · kind u8 · meta (JSON) · array · array …

Submissions and their answers go as bundles instead, which have the same header and a count in place of the id
(`service.runtime.bundles`). Only numbers, words and arrays cross: nothing is pickled.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import orjson

from service.errors import ServiceError, error_types
from service.runtime.bundles import (
    DTYPES,
    NOTHING,
    Bundle,
    Item,
    read_bundle,
    write_answers,
    write_bundle,
    write_questions,
)
from service.runtime.calls import Array, Asked, Call
from service.runtime.shared import View

_HEADER = struct.Struct("<IIQB")
MESSAGE_LIMIT_BYTES = 1 << 30


class MessageType(IntEnum):
    """What a message says."""

    SUBMIT = 1
    CANCEL = 2
    LOAD = 3
    UNLOAD = 4
    RESULT = 5
    ERROR = 6
    STATUS = 7
    WAITING = 8
    SUBMISSIONS = 9
    RESULTS = 10
    NEWS = 12
    DONE = 13
    SET_ASIDE = 14


BUNDLES = (MessageType.SUBMISSIONS, MessageType.RESULTS)


class Frame(NamedTuple):
    """One message; ids pair an answer with its question. A bundle has items instead, each with an id of its own."""

    kind: MessageType
    id: int
    meta: Any
    arrays: list[Array]
    items: Bundle = NOTHING


def encode(kind: MessageType, message_id: int, meta: dict[str, Any], arrays: Sequence[Array] = ()) -> bytes:
    """The bytes of one message."""
    if arrays:
        meta["a"] = [[array.dtype.str, array.shape] for array in arrays]
    text = orjson.dumps(meta)
    parts = [b"", text, *(array.tobytes() for array in arrays)]
    parts[0] = _HEADER.pack(sum(map(len, parts)), len(text), message_id, kind)
    return b"".join(parts)


def encode_bundle(kind: MessageType, items: Sequence[Item]) -> bytes:
    """The bytes of one message of items that share their words."""
    return _bundle(kind, len(items), *write_bundle(items))


def encode_questions(ids: Sequence[int], call: Call, asked: Sequence[Asked]) -> bytes | None:
    """The bytes of one message of questions that nobody waits for; None where their arrays differ, or are large."""
    written = write_questions(ids, call, asked)
    return None if written is None else _bundle(MessageType.SUBMISSIONS, len(ids), *written)


def encode_answers(ids: Sequence[int], columns: Sequence[Array]) -> bytes | None:
    """The bytes of one message of answers of one row each, given side by side; None for those that are large."""
    written = write_answers(ids, columns)
    return None if written is None else _bundle(MessageType.RESULTS, len(ids), *written)


def _bundle(kind: MessageType, count: int, words: bytes, parts: Sequence[bytes]) -> bytes:
    header = _HEADER.pack(len(words) + sum(map(len, parts)), len(words), count, kind)
    return b"".join([header, words, *parts])


class FrameReader:
    """Cuts what a stream delivers into messages, whatever the pieces it arrives in."""

    def __init__(self, view: View | None = None) -> None:
        self._view = view
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = _HEADER.size

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages that are whole now. Raises ValueError where the stream is not one of ours."""
        if self._pieces or len(data) < self._needed:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        start = 0
        self._needed = _HEADER.size
        while len(data) - start >= _HEADER.size:
            length, meta_length, message_id, kind = _HEADER.unpack_from(data, start)
            if length > MESSAGE_LIMIT_BYTES:
                raise ValueError(f"a message of {length} bytes")
            body = start + _HEADER.size
            if len(data) - body < length:
                self._needed += length
                break
            if kind in BUNDLES:
                items = read_bundle(data, body, meta_length, message_id, body + length, self._view)
                yield Frame(MessageType(kind), 0, None, [], items)
            else:
                yield Frame(MessageType(kind), message_id, *_cut(data, body, meta_length, body + length))
            start = body + length
        self._held = len(data) - start
        if self._held:
            self._pieces.append(data[start:])


def _cut(data: bytes, start: int, meta_length: int, end: int) -> tuple[dict[str, Any], list[Array]]:
    """The words and the arrays of a message, which fill it. Raises ValueError."""
    offset = start + meta_length
    if offset > end:
        raise ValueError("a message that is shorter than its words")
    meta = orjson.loads(data[start:offset])
    arrays = []
    try:
        for name, shape in meta.get("a", ()):
            dtype, count = DTYPES[name], math.prod(shape)
            if min(shape, default=0) < 0 or offset + count * dtype.itemsize > end:
                raise ValueError(f"an array of shape {shape} that its message does not hold")
            arrays.append(np.frombuffer(data, dtype, count, offset).reshape(shape))
            offset += count * dtype.itemsize
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"words that are none of ours: {error!r}") from error
    if offset != end:
        raise ValueError(f"a message with {end - offset} bytes that belong to no array")
    return meta, arrays


def error_to_meta(error: ServiceError) -> dict[str, Any]:
    """An error as type and detail, and after how long to ask again."""
    return {
        "type": type(error).__name__,
        "detail": error.detail,
        "errors": error.errors,
        "again": error.measured_retry_after_s,
    }


def error_of_meta(meta: dict[str, Any]) -> ServiceError:
    """The error that `error_to_meta` wrote, of its own class again."""
    kind = error_types().get(meta["type"], ServiceError)
    error = kind(meta["detail"], errors=meta.get("errors"))
    return error if meta.get("again") is None else error.again_in(meta["again"])
