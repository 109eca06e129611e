"""The weights in an ONNX file, read without its package: the few fields of its protocol buffers that hold them.

Field numbers as in onnx/onnx.proto: ModelProto.graph 7; GraphProto.node 1, initializer 5; NodeProto.input 1, op_type 4;
TensorProto.dims 1, data_type 2, float_data 4, name 8, raw_data 9.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import UntrustedWeights

LAYERS = frozenset({b"Conv", b"Gemm"})
FLOAT = 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number and its value."""

    number: int
    value: int | memoryview


def read_layers(data: bytes) -> list[list[Tensor]]:
    """The weights of each convolution and dense layer, in the order of the graph: kernel, then bias.

    Raises UntrustedWeights for bytes that are no such graph.
    """
    try:
        (graph,) = (field.value for field in message_fields(memoryview(data)) if field.number == 7)
        parts = list(message_fields(_message(graph)))
        tensors = dict(_tensor(_message(part.value)) for part in parts if part.number == 5)
        nodes = [_node(_message(part.value)) for part in parts if part.number == 1]
        return [[tensors[name] for name in inputs if name in tensors] for kind, inputs in nodes if kind in LAYERS]
    except (ValueError, IndexError, TypeError) as error:
        raise UntrustedWeights(f"This is not an ONNX file of plain float32 layers: {error}") from error


def _node(message: memoryview) -> tuple[bytes, list[bytes]]:
    fields = list(message_fields(message))
    kinds = [bytes(_message(field.value)) for field in fields if field.number == 4]
    return b"".join(kinds), [bytes(_message(field.value)) for field in fields if field.number == 1]


def _tensor(message: memoryview) -> tuple[bytes, Tensor]:
    fields = list(message_fields(message))
    dims = [size for field in fields if field.number == 1 for size in integers_in(field.value)]
    kinds = [field.value for field in fields if field.number == 2]
    names = [bytes(_message(field.value)) for field in fields if field.number == 8]
    raw = b"".join(bytes(_message(field.value)) for field in fields if field.number in (4, 9))
    if kinds != [FLOAT]:
        return names[0], torch.empty(0)  # shapes and the like, which belong to no layer
    return names[0], torch.from_numpy(np.frombuffer(raw, "<f4").astype(np.float32).reshape(dims))


def integers_in(value: int | memoryview) -> Iterator[int]:
    """One integer, or several packed into bytes."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number stands where a message should be")
    return value


def message_fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, one after the other. Raises ValueError or IndexError where it is cut off."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            number, at = _varint(message, at)
            yield Field(key >> 3, number)
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        else:
            length = {FIXED64: 8, FIXED32: 4}.get(kind, -1)
        if length < 0 or at + length > len(message):
            raise ValueError("a field is cut off")
        yield Field(key >> 3, message[at : at + length])
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number does not end")
