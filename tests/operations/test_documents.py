import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.operations.documents import DEEPEST, LONG, MOST_MEMBERS, read_document

NUMBERS = st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.text(max_size=5) | NUMBERS
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner))


@given(DOCUMENTS)
def test_a_small_document_is_what_json_says(document: object) -> None:
    assert read_document(orjson.dumps(document)) == document


@given(st.lists(NUMBERS, min_size=LONG, max_size=LONG + 20))
def test_a_long_list_of_numbers_is_an_array_of_them(numbers: list[float | None]) -> None:
    found = read_document(orjson.dumps({"history": numbers}))["history"]
    if set(numbers) == {None}:
        assert found == numbers
        return
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.array([np.nan if one is None else float(one) for one in numbers]))


def test_rows_of_one_length_are_a_table_and_others_stay_lists() -> None:
    rows = [[float(i), None] for i in range(LONG)]
    assert read_document(orjson.dumps(rows)).shape == (LONG, 2)
    ragged = [*rows, [1.0]]
    assert read_document(orjson.dumps(ragged)) == ragged
    words = ["one", *map(float, range(LONG))]
    assert read_document(orjson.dumps(words)) == words
    truths = [True] * LONG
    assert read_document(orjson.dumps(truths)) == truths


@pytest.mark.parametrize(
    "document",
    [
        {f"key{i}": 0 for i in range(MOST_MEMBERS + 1)},
        ["word"] * (MOST_MEMBERS + 1),
        [[str(i)] for i in range(MOST_MEMBERS)],
        [[1.0] * (i % 2 + 1) for i in range(MOST_MEMBERS)],
    ],
    ids=["keys", "words", "nested", "ragged"],
)
def test_more_members_than_are_read_are_refused(document: object) -> None:
    with pytest.raises(InvalidRequest, match="more than 20,000 members"):
        read_document(orjson.dumps(document))


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 600, 1023, 100_000])
def test_what_is_nested_too_deep_is_refused(opening: bytes, closing: bytes, depth: int) -> None:
    read_document(opening * DEEPEST + b"1" + closing * DEEPEST)
    with pytest.raises(InvalidRequest, match=r"deep|depth"):
        read_document(opening * depth + b"1" + closing * depth)


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(InvalidRequest, match="The body is not JSON"):
        read_document(b"{")
