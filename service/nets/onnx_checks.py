"""What an ONNX file must not be: one that reads other files, needs code of its own, or is nested without end.

Field numbers as in onnx/onnx.proto: ModelProto.graph 7, functions 25; GraphProto.node 1, initializer 5,
sparse_initializer 15; NodeProto.op_type 4, attribute 5, domain 7; AttributeProto.t 5, g 6, tensors 10, graphs 11,
sparse_tensor 22, sparse_tensors 23; SparseTensorProto.values 1, indices 2; FunctionProto.node 7, attribute_proto 11;
TensorProto.external_data 13, data_location 14.
"""

import math
from pathlib import Path

from service.errors import UntrustedWeights
from service.nets.onnx import integers_in, message_fields
from service.written import read_whole

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Whose operators onnxruntime brings itself."""
READING = frozenset({"EPContext"})
"""Operators that read files which they name."""
DEPTH = 32
MOST = 2**31 - 1
"""Bytes that a message of protocol buffers may have."""
PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""The messages within each message that are looked into."""
OPERATOR, DOMAIN = 4, 7
EXTERNAL_DATA, DATA_LOCATION = 13, 14
GRAPH, INITIALISER, DIMS = 7, 5, 1


def read_graph(file: Path) -> bytes:
    """What a file holds, if that is a graph and all of one. Raises UntrustedWeights."""
    try:
        data = read_whole(file, MOST)
    except (OSError, ValueError) as error:
        raise UntrustedWeights.of_file(file, error) from error
    check_graph(file, data)
    return data


def check_graph(file: Path, data: bytes) -> None:
    """Raise UntrustedWeights for a file that is no graph, is not all of one, or needs what is not in it."""
    try:
        _check("model", memoryview(data), 0)
    except UntrustedWeights as error:
        raise UntrustedWeights.of_file(file, str(error)) from None
    except (ValueError, IndexError, TypeError) as error:
        raise UntrustedWeights(f"{file} is not an ONNX file that onnxruntime runs: {error}") from error


def count_weights(data: bytes) -> int:
    """How many numbers a graph's initialisers hold."""
    graphs = [field.value for field in message_fields(memoryview(data)) if field.number == GRAPH]
    tensors = [
        field.value
        for graph in graphs
        if isinstance(graph, memoryview)
        for field in message_fields(graph)
        if field.number == INITIALISER and isinstance(field.value, memoryview)
    ]
    return sum(math.prod(dims_of(tensor)) for tensor in tensors)


def dims_of(tensor: memoryview) -> list[int]:
    """The sizes of a tensor, one by one or packed."""
    return [size for field in message_fields(tensor) if field.number == DIMS for size in integers_in(field.value)]


def _check(kind: str, message: memoryview, depth: int) -> None:
    if depth > DEPTH:
        raise UntrustedWeights(f"its graphs are nested more than {DEPTH} deep.")
    words: dict[int, str] = {}
    for field in message_fields(message):
        inner = PARTS[kind].get(field.number)
        if inner is not None and isinstance(field.value, memoryview):
            _check(inner, field.value, depth + 1)
        elif kind == "node" and field.number in (OPERATOR, DOMAIN) and isinstance(field.value, memoryview):
            words[field.number] = bytes(field.value).decode()
        elif kind == "tensor" and field.number in (EXTERNAL_DATA, DATA_LOCATION) and field.value != 0:
            raise UntrustedWeights(
                "its weights lie in another file, which is not read. Save it as one file:"
                " onnx.save(onnx.load(path), new_path, save_as_external_data=False)."
            )
    if kind == "node":
        _check_operator(words.get(OPERATOR, ""), words.get(DOMAIN, ""))


def _check_operator(name: str, domain: str) -> None:
    if domain not in DOMAINS:
        raise UntrustedWeights(
            f"its operator {name} of {domain} needs code of its own, which is not loaded; export the net with ONNX's."
        )
    if name in READING:
        raise UntrustedWeights(f"its operator {name} reads other files.")
