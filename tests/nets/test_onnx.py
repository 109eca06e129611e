import struct

import pytest
import torch
from nets.protobuf import field, graph, node, tensor

from service.errors import UntrustedWeights
from service.nets.onnx import read_layers

KERNEL, BIAS, WEIGHT = torch.randn(2, 3, 1, 1), torch.randn(2), torch.randn(4, 2)


def test_layers_come_in_the_order_of_the_graph_whatever_the_order_of_their_weights() -> None:
    shape = field(5, field(1, 2) + field(2, 7) + field(8, b"shape") + field(9, struct.pack("<2q", 1, -1)))
    data = graph(
        tensor(b"fc_b", torch.zeros(4), packed=True),
        tensor(b"conv_w", KERNEL),
        shape,
        tensor(b"fc_w", WEIGHT, raw=False),
        tensor(b"conv_b", BIAS),
        node(b"Conv", b"data", b"conv_w", b"conv_b"),
        node(b"Reshape", b"maps", b"shape"),
        node(b"Gemm", b"flat", b"fc_w", b"fc_b"),
    )
    first, second = read_layers(data)
    assert torch.equal(first[0], KERNEL)
    assert torch.equal(first[1], BIAS)
    assert torch.equal(second[0], WEIGHT)
    assert second[1].shape == (4,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a graph",
        graph(tensor(b"w", KERNEL), node(b"Conv", b"x", b"w"))[:-20],
        field(7, 5),
        graph(field(5, field(1, 3) + field(2, 1) + field(8, b"w") + field(9, b"abcd"))),
        b"\x38" + b"\xff" * 12,
    ],
    ids=["empty", "text", "cut", "a number", "too few bytes", "endless number"],
)
def test_what_is_no_graph_is_refused(data: bytes) -> None:
    with pytest.raises(UntrustedWeights, match="not an ONNX file"):
        read_layers(data)
