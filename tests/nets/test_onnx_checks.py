from pathlib import Path

import pytest
from nets.graphs import AHEAD, KERNEL, WEIGHT, looking
from nets.protobuf import field, node, port, runnable, tensor

from service.errors import UntrustedWeights
from service.nets.onnx_checks import check_graph, count_weights

FILE = Path("net.onnx")
PORTS = port(11, b"x", b"n", 3) + port(12, b"y", b"n", 3)
ELSEWHERE = (
    field(1, 3) + field(2, 1) + field(8, b"w") + field(13, field(1, b"location") + field(2, b"../../etc/passwd"))
)
"""A tensor whose numbers lie in another file."""


def nested(depth: int) -> bytes:
    """Graphs within attributes of nodes of graphs."""
    inner = b""
    for _ in range(depth):
        inner = node(b"If", b"x", attributes=field(5, field(1, b"then_branch") + field(6, inner)))
    return inner


def test_a_graph_of_its_own_weights_passes_and_they_are_counted() -> None:
    check_graph(FILE, looking())
    assert count_weights(looking()) == KERNEL.numel() + WEIGHT.numel()
    assert count_weights(runnable(tensor(b"w", AHEAD, packed=True))) == AHEAD.numel()


@pytest.mark.parametrize(
    "where",
    [
        field(5, ELSEWHERE),
        field(5, field(1, 3) + field(8, b"w") + field(14, 1)),
        field(15, field(1, ELSEWHERE)),
        node(b"Constant", attributes=field(5, field(1, b"value") + field(5, ELSEWHERE))),
        node(b"If", b"x", attributes=field(5, field(6, field(5, ELSEWHERE)))),
        node(b"Constant", attributes=field(5, field(22, field(2, ELSEWHERE)))),
    ],
    ids=["initialiser", "marked", "sparse", "constant", "branch", "sparse constant"],
)
def test_weights_in_another_file_are_refused_wherever_they_stand(where: bytes) -> None:
    with pytest.raises(UntrustedWeights, match=r"lie in another file.*save_as_external_data=False"):
        check_graph(FILE, runnable(where, PORTS))


def test_what_a_function_of_the_file_hides_is_seen() -> None:
    with pytest.raises(UntrustedWeights, match="lie in another file"):
        check_graph(
            FILE, runnable(PORTS) + field(25, field(7, node(b"Constant", attributes=field(5, field(5, ELSEWHERE)))[2:]))
        )


def test_operators_that_need_code_or_read_files_are_refused() -> None:
    with pytest.raises(UntrustedWeights, match=r"operator Mine of my\.own needs code of its own"):
        check_graph(FILE, runnable(node(b"Mine", b"x", attributes=field(7, b"my.own")), PORTS))
    with pytest.raises(UntrustedWeights, match="operator EPContext reads other files"):
        check_graph(FILE, runnable(node(b"EPContext", b"x", attributes=field(7, b"com.microsoft")), PORTS))


def test_graphs_within_graphs_end_somewhere() -> None:
    check_graph(FILE, runnable(nested(5)))
    with pytest.raises(UntrustedWeights, match="nested more than 32 deep"):
        check_graph(FILE, runnable(nested(40)))


@pytest.mark.parametrize("data", [b"\xff" * 40, looking()[:-30], b"\x0b"], ids=["noise", "cut", "group"])
def test_bytes_that_are_no_messages_are_refused(data: bytes) -> None:
    with pytest.raises(UntrustedWeights, match=r"net\.onnx is not an ONNX file"):
        check_graph(FILE, data)
