"""ONNX files, written by hand: the few fields of their protocol buffers that matter here."""

from torch import Tensor


def varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: bytes, values: Tensor, *, raw: bool = True, packed: bool = False) -> bytes:
    dims = [varint(size) for size in values.shape]
    shape = field(1, b"".join(dims)) if packed else b"".join(field(1, size) for size in values.shape)
    data = values.numpy().astype("<f4").tobytes()
    return field(5, shape + field(2, 1) + field(8, name) + field(9 if raw else 4, data))


def node(kind: bytes, *inputs: bytes, output: bytes = b"out", attributes: bytes = b"") -> bytes:
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + attributes)


def integers(name: bytes, *values: int) -> bytes:
    """An attribute of a node that is a list of integers."""
    return field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))


def integer(name: bytes, value: int) -> bytes:
    """An attribute of a node that is one integer."""
    return field(5, field(1, name) + field(3, value) + field(20, 2))


def port(number: int, name: bytes, *sizes: int | bytes, kind: int = 1) -> bytes:
    """An input (11) or an output (12) of a graph, sizes that are open by their names; `kind` 1 is float32."""
    dims = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in sizes)
    return field(number, field(1, name) + field(2, field(1, field(1, kind) + field(2, dims))))


def runnable(*parts: bytes) -> bytes:
    """A whole file of these parts of a graph, in an operator set that onnxruntime runs."""
    return field(1, 8) + field(7, b"".join(parts) + field(2, b"graph")) + field(8, field(1, b"") + field(2, 13))


def graph(*parts: bytes) -> bytes:
    return field(1, 7) + field(7, b"".join(parts)) + field(8, b"opset")
