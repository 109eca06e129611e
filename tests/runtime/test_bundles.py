import struct

import numpy as np
import pytest
from doubles import split
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from service.runtime.bundles import BUNDLE_LIMIT_BYTES, Item, item_of, most_beside
from service.runtime.calls import Call, Lane
from service.runtime.frames import FrameReader, MessageType, encode, encode_bundle

WORDS = st.text(max_size=20)
CALLS = st.builds(
    Call,
    WORDS,
    WORDS,
    st.none() | WORDS,
    st.lists(st.tuples(WORDS, WORDS | st.booleans() | st.integers(-(2**53), 2**53)), max_size=3).map(tuple),
)
SHAPES = stn.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
SPECS = st.lists(st.tuples(st.sampled_from(["uint8", "int64", "float16", "float32", "float64"]), SHAPES), max_size=3)
ENTRIES = st.lists(
    st.tuples(
        st.integers(0, 2**64 - 1),
        st.none() | st.floats(0, 1e9),
        st.text(st.characters(max_codepoint=255), max_size=200),
    ),
    min_size=1,
    max_size=5,
)


@given(
    call=st.none() | CALLS,
    lane=st.sampled_from(Lane),
    specs=SPECS,
    entries=ENTRIES,
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_a_bundle_comes_out_as_it_went_in_however_the_stream_is_cut(
    call: Call | None,
    lane: Lane,
    specs: list[tuple[str, tuple[int, ...]]],
    entries: list[tuple[int, float | None, str]],
    sizes: list[int],
) -> None:
    rng = np.random.default_rng(0)
    sent = [
        item_of(
            number, [rng.integers(0, 255, shape).astype(name) for name, shape in specs], call, lane, deadline, name_
        )
        for number, deadline, name_ in entries
    ]
    stream = [encode(MessageType.NEWS, 1, {}), encode_bundle(MessageType.SUBMISSIONS, sent)]
    reader = FrameReader()
    _, frame = (frame for piece in split(stream, sizes) for frame in reader.feed(piece))
    assert len(frame.items) == len(sent)
    for found, item in zip(frame.items, sent, strict=True):
        assert found[:4] == item[:4]
        assert found.place == item.place
        for one, other in zip(found.arrays, item.arrays, strict=True):
            assert (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def test_an_array_that_does_not_lie_in_a_row_is_sent_as_it_is_seen() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    [frame] = FrameReader().feed(encode_bundle(MessageType.RESULTS, [item_of(1, [array])]))
    np.testing.assert_array_equal(frame.items[0].arrays[0], array)


def test_bundles_of_large_arrays_are_short() -> None:
    large = np.broadcast_to(np.uint8(0), (BUNDLE_LIMIT_BYTES // 2 + 1,))
    assert most_beside(item_of(1, [large])) == 1
    assert most_beside(item_of(1, [large[:1024]])) == BUNDLE_LIMIT_BYTES // 1024
    assert most_beside(item_of(1, [])) > 1


def message(words: bytes, rest: bytes = b"", *, count: int = 1, words_length: int | None = None) -> bytes:
    length = len(words) if words_length is None else words_length
    return struct.pack("<IIQB", len(words) + len(rest), length, count, MessageType.RESULTS) + words + rest


ENTRY = struct.pack("<QdB", 7, 0.0, 0)
GOOD = b'[null,"bulk",[["<f4",[1]]],false]'


def test_a_message_as_it_is_written_is_read() -> None:
    [frame] = FrameReader().feed(message(GOOD, ENTRY + bytes(4)))
    [item] = frame.items
    assert isinstance(item, Item)
    assert (item.id, item.deadline, item.words.lane, item.arrays[0].tolist()) == (7, 0.0, Lane.BULK, [0.0])


@pytest.mark.parametrize(
    "stream",
    [
        message(b"{", ENTRY),
        message(b"{}", ENTRY),
        message(b"[]", ENTRY),
        message(b"7", ENTRY),
        message(b'[null,"nowhere",[],false]', ENTRY),
        message(b'[7,"bulk",[],false]', ENTRY),
        message(b'[["m"],"bulk",[],false]', ENTRY),
        message(b'[[7,"v",null,[]],"bulk",[],false]', ENTRY),
        message(b'[["m","v",7,[]],"bulk",[],false]', ENTRY),
        message(b'[["m","v",null,[[7,7]]],"bulk",[],false]', ENTRY),
        message(b'[null,"bulk",[],false]', count=0),
        message(b'[["m","v",null,7],"bulk",[],false]', ENTRY),
        message(b'[["m","v",null,[["x",[]]]],"bulk",[],false]', ENTRY),
        message(b'[null,"bulk",[],false]', ENTRY + b"more"),
        message(b'[null,"bulk",[],false]', ENTRY, count=2),
        message(b'[null,"bulk",[],false]', ENTRY, count=2**63),
        message(GOOD, ENTRY),
        message(GOOD, ENTRY + bytes(8)),
        message(GOOD, ENTRY + bytes(4), words_length=200),
        message(GOOD.replace(b'"<f4"', b'"|O"'), ENTRY + bytes(4)),
        message(GOOD.replace(b'"<f4"', b"[1]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"[-1]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"[1.0]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"[true]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"[]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"1"), ENTRY + bytes(4)),
        message(GOOD.replace(b"[1]", b"[9223372036854775807,4]"), ENTRY + bytes(4)),
        message(GOOD.replace(b"false", b"true"), ENTRY + bytes(8)),
        message(GOOD.replace(b"false", b"7"), ENTRY + bytes(4)),
        message(GOOD.replace(b"false", b"[]"), ENTRY + bytes(4)),
        message(GOOD, ENTRY[:-1] + b"\x09" + bytes(4)),
    ],
)
def test_what_is_no_bundle_of_ours_is_a_value_error_and_no_array_reaches_beyond_its_message(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        list(FrameReader().feed(stream))
