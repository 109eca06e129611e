import struct

import numpy as np
import pytest
from doubles import split
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from service.errors import InvalidRequest, Overloaded, ServiceError, error_types
from service.runtime.calls import Array
from service.runtime.frames import (
    BUNDLES,
    MESSAGE_LIMIT_BYTES,
    FrameReader,
    MessageType,
    encode,
    error_of_meta,
    error_to_meta,
)

ARRAYS = st.sampled_from(["uint8", "int64", "float16", "float32", "float64"]).flatmap(
    lambda name: stn.arrays(name, stn.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)
WORDS = st.text(max_size=20)
MESSAGES = st.tuples(
    st.sampled_from([kind for kind in MessageType if kind not in BUNDLES]),
    st.integers(0, 2**64 - 1),
    st.dictionaries(
        WORDS.filter(lambda word: word != "a"),
        WORDS | st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        max_size=3,
    ),
    st.lists(ARRAYS, max_size=3),
)


def is_same(found: Array, sent: Array) -> bool:
    return (found.shape, found.dtype, found.tobytes()) == (sent.shape, sent.dtype, sent.tobytes())


@given(messages=st.lists(MESSAGES, max_size=5), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    messages: list[tuple[MessageType, int, dict[str, str | float | None], list[NDArray[np.generic]]]], sizes: list[int]
) -> None:
    stream = [encode(kind, number, dict(meta), arrays) for kind, number, meta, arrays in messages]
    reader = FrameReader()
    frames = [frame for piece in split(stream, sizes) for frame in reader.feed(piece)]
    assert len(frames) == len(messages)
    for frame, (kind, number, meta, arrays) in zip(frames, messages, strict=True):
        assert (frame.kind, frame.id) == (kind, number)
        assert {name: value for name, value in frame.meta.items() if name != "a"} == meta
        assert all(map(is_same, frame.arrays, arrays))
        assert len(frame.arrays) == len(arrays)


def test_an_array_that_does_not_lie_in_a_row_is_sent_as_it_is_seen() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    [frame] = FrameReader().feed(encode(MessageType.RESULT, 1, {}, [array]))
    assert is_same(frame.arrays[0], array)


def test_a_message_beyond_the_limit_is_no_message_of_ours() -> None:
    header = (MESSAGE_LIMIT_BYTES + 1).to_bytes(4, "little") + bytes(13)
    with pytest.raises(ValueError, match="a message of 1073741825 bytes"):
        list(FrameReader().feed(header))


def message(meta: bytes, rest: bytes = b"", *, kind: int = 5, meta_length: int | None = None) -> bytes:
    length = len(meta) if meta_length is None else meta_length
    return struct.pack("<IIQB", len(meta) + len(rest), length, 1, kind) + meta + rest


@pytest.mark.parametrize(
    "stream",
    [
        message(b"{"),
        message(b"[]"),
        message(b"{}", kind=200),
        message(b"{}", b"more"),
        message(b"{}", meta_length=3) + message(b"{}"),
        message(b'{"a":7}'),
        message(b'{"a":["<f4"]}'),
        message(b'{"a":[["|O",[1]]]}', bytes(8)),
        message(b'{"a":[[["<f4"],[1]]]}', bytes(4)),
        message(b'{"a":[["<f4",[1.0]]]}', bytes(4)),
        message(b'{"a":[["<f4",[-1]]]}', bytes(4)),
        message(b'{"a":[["<f4",[-1,-1]]]}', bytes(4)),
        message(b'{"a":[["<f4",[2]]]}', bytes(4)) + message(b"{}"),
        message(b'{"a":[["<f4",[9223372036854775807,4]]]}', bytes(4)),
        message(b'{"a":[["<f4",[1]],["<f4",[1]]]}', bytes(4)),
    ],
)
def test_what_is_no_message_of_ours_is_a_value_error_and_no_array_reaches_beyond_its_message(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        list(FrameReader().feed(stream))


@pytest.mark.parametrize("kind", error_types().values())
def test_an_error_crosses_as_its_own_class(kind: type[ServiceError]) -> None:
    error = error_of_meta(error_to_meta(kind("what happened", errors=[{"field": "seed", "message": "too small"}])))
    assert type(error) is kind
    assert (error.detail, error.errors) == ("what happened", [{"field": "seed", "message": "too small"}])
    assert error.retry_after_s == kind.retry_after_s


def test_an_error_brings_along_after_how_long_to_ask_again() -> None:
    assert error_of_meta(error_to_meta(Overloaded("full").again_in(5.12))).retry_after_s == 5.12


def test_an_error_that_is_not_known_here_is_still_an_error() -> None:
    error = error_of_meta({**error_to_meta(InvalidRequest("detail")), "type": "OfANewerVersion"})
    assert type(error) is ServiceError
    assert error.detail == "detail"
