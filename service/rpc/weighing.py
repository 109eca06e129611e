"""What a message holds, counted in its bytes before anything is made of them.

Of two bytes each, a message has room for eight million members: to make them all would take a second, in which the
event loop does nothing for others. The wire format is that of Protocol Buffers (protobuf.dev, Encoding).
"""

from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from service.errors import InvalidRequest
from service.operations.documents import MOST_MEMBERS

MOST_ELEMENTS = 1 << 18
"""Of all tensors that are not sent raw: each is looked at by itself, and others wait meanwhile."""
ELEMENTS = "InferTensorContents"
"""The message in which such elements lie."""
VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5
FIXED_BYTES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
LONGEST_VARINT = 10
NUMBER_BYTES = {FieldDescriptor.TYPE_DOUBLE: 8, FieldDescriptor.TYPE_FLOAT: 4}
"""What a number of a type takes that always takes as much; others take as many bytes as they need."""
SMALL = 0x80
"""The last byte of a number that takes as many as it needs is below this, and the others are not."""


class NoMessage(Exception):
    """The bytes do not say what a message of the protocol says."""


def weigh(message: bytes, kind: Any) -> None:
    """Refuse a message of more members or elements than are made into objects; `kind` describes it.

    Raises InvalidRequest, and NoMessage for what is none.
    """
    _Scale(message).weigh(0, len(message), kind)


class _Scale:
    def __init__(self, message: bytes) -> None:
        self._message = message
        self._members = 0
        self._elements = 0

    def weigh(self, at: int, end: int, kind: Any) -> None:
        fields = kind.fields_by_number
        while at < end:
            tag, at = self._varint(at, end)
            wire, field = tag & 7, fields.get(tag >> 3)
            self._count(1)
            if wire == VARINT:
                _, at = self._varint(at, end)
            elif wire == DELIMITED:
                size, at = self._varint(at, end)
                if at + size > end:
                    raise NoMessage
                self._look_into(at, at + size, kind, field)
                at += size
            elif wire in FIXED_BYTES:
                at += FIXED_BYTES[wire]
            else:
                raise NoMessage  # a group: the protocol has none
        if at != end:
            raise NoMessage

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A number and where it ends."""
        if at < end and (short := self._message[at]) < SMALL:  # as nearly all are
            return short, at + 1
        value = 0
        for place, byte in enumerate(self._message[at : min(end, at + LONGEST_VARINT)]):
            value |= (byte & SMALL - 1) << 7 * place
            if byte < SMALL:
                return value, at + place + 1
        raise NoMessage

    def _look_into(self, at: int, end: int, kind: Any, field: Any) -> None:
        """What a field has inside: members of its own, or numbers one after the other."""
        if field is None or field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            return
        if field.message_type is not None:
            self.weigh(at, end, field.message_type)
        elif kind.name == ELEMENTS:
            self._elements += self._numbers(at, end, field)
            if self._elements > MOST_ELEMENTS:
                raise InvalidRequest(
                    f"The message has more than {MOST_ELEMENTS:,} elements; so many are read as raw contents alone."
                )
        else:
            self._count(self._numbers(at, end, field))

    def _numbers(self, at: int, end: int, field: Any) -> int:
        if (size := NUMBER_BYTES.get(field.type)) is not None:
            return (end - at) // size
        if end - at > LONGEST_VARINT * MOST_ELEMENTS:
            return MOST_ELEMENTS + 1
        return int(np.count_nonzero(np.frombuffer(self._message, np.uint8, end - at, at) < SMALL))

    def _count(self, members: int) -> None:
        self._members += members
        if self._members > MOST_MEMBERS:
            raise InvalidRequest(f"The message has more than {MOST_MEMBERS:,} members; so many are not read.")
