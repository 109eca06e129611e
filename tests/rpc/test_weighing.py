from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.operations.documents import MOST_MEMBERS
from service.rpc.messages import METHODS, message_class
from service.rpc.server import understood
from service.rpc.weighing import MOST_ELEMENTS, NoMessage, weigh

KIND = METHODS["ModelInfer"].input_type


def request(**contents: list[Any]) -> bytes:
    """A request of one tensor that is not sent raw."""
    message = message_class("ModelInferRequest")(model_name="echo", raw_input_contents=[b"\xff" * 1000])
    message.inputs.add(name="image", datatype="FP32", shape=[3, -1, 2**40], contents=contents)
    message.parameters["top_k"].int64_param = 3
    encoded: bytes = message.SerializeToString()
    return encoded


def delimited(number: int, inside: bytes) -> bytes:
    """A field with something inside it."""
    size, length = b"", len(inside)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + inside


@pytest.mark.parametrize(
    "contents",
    [
        {"fp32_contents": [0.5] * MOST_ELEMENTS},
        {"fp64_contents": [0.5] * MOST_ELEMENTS},
        {"bool_contents": [True] * MOST_ELEMENTS},
        {"int64_contents": [-1] * MOST_ELEMENTS},
        {"uint_contents": [300] * MOST_ELEMENTS},
        {"bytes_contents": [b"\x08\x01" * 40_000] * 4096},
    ],
)
def test_elements_are_counted_as_they_lie_and_so_many_are_read(contents: dict[str, list[Any]]) -> None:
    weigh(request(**contents), KIND)
    [(name, elements)] = contents.items()
    if name != "bytes_contents":
        with pytest.raises(InvalidRequest, match="elements"):
            weigh(request(**{name: [*elements, elements[0]]}), KIND)


@pytest.mark.parametrize(
    "message",
    [
        b"\x3a\x00" * (MOST_MEMBERS + 1),
        b"\x2a\x00" * (MOST_MEMBERS + 1),
        b"\x78\x01" * (MOST_MEMBERS + 1),
        delimited(5, b"\x18\x01" * MOST_MEMBERS),
        delimited(5, delimited(3, b"\x01" * MOST_MEMBERS)),
        delimited(5, delimited(3, b"\x01" * 10 * MOST_ELEMENTS + b"\x01")),
        delimited(5, delimited(5, b"\x08\x01" * MOST_MEMBERS)),
        delimited(5, delimited(5, b"\x42\x00" * MOST_MEMBERS)),
        delimited(6, delimited(2, delimited(2, b"\x08\x01" * MOST_MEMBERS))),
    ],
    ids=["raw", "inputs", "unknown", "sizes", "packed-sizes", "endless-sizes", "elements", "texts", "parameters"],
)
def test_many_tiny_members_are_refused_wherever_they_lie(message: bytes) -> None:
    with pytest.raises(InvalidRequest, match="20,000 members"):
        weigh(message, KIND)


def test_all_tensors_of_a_message_are_counted_together() -> None:
    half = delimited(5, delimited(5, delimited(1, b"\x01" * (MOST_ELEMENTS // 2 + 1))))
    weigh(half, KIND)
    with pytest.raises(InvalidRequest, match="elements"):
        weigh(half * 2, KIND)


@pytest.mark.parametrize(
    "message",
    [b"\x0a", b"\x0a\x05abc", b"\x2b\x2c", b"\x80" * 11, b"\x09\x00", b"\x0d\x00", b"\x2a\x02\x0a\x05", b"\x0f"],
)
def test_what_is_no_message_is_not_looked_at_any_further(message: bytes) -> None:
    with pytest.raises(NoMessage):
        weigh(message, KIND)


@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(message: bytes) -> None:
    try:
        understood("ModelInfer", message)
    except InvalidRequest as error:
        error.detail.encode()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.text(max_size=20), st.binary(max_size=50))
def test_what_a_client_writes_is_understood_as_it_was_meant(sizes: list[int], name: str, raw: bytes) -> None:
    message = message_class("ModelInferRequest")(model_name=name, id=name, raw_input_contents=[raw, raw])
    message.inputs.add(name=name, shape=sizes, contents={"int64_contents": sizes, "bytes_contents": [raw]})
    message.outputs.add(name=name).parameters[name].double_param = 0.5
    assert understood("ModelInfer", message.SerializeToString()) == message
