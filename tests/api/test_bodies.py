import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from doubles import split
from hypothesis import example, given
from hypothesis import strategies as st

from service.api.bodies import PART_HEADER_LIMIT, PARTS_LIMIT, Part, Sink, boundary_of, read_form
from service.errors import InvalidRequest, UnsupportedMediaType

NAMES = st.text(st.characters(blacklist_characters='"\\\r\n', blacklist_categories=["Cs", "Cc"]), max_size=10)
PARTS = st.lists(st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=50)), max_size=5)


class StoredReference:
    """Keeps what is written, and notes the end."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = 0

    def write(self, data: bytes, /) -> None:
        self.data += data

    def close(self) -> None:
        self.closed += 1


def form_of(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    lines = []
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        lines.append(f'--cut\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data + b"\r\n")
    return b"".join(lines) + b"--cut--\r\n"


def read(body: bytes, sizes: list[int]) -> list[tuple[Part, StoredReference]]:
    found: list[tuple[Part, StoredReference]] = []

    def open_part(part: Part) -> Sink:
        found.append((part, StoredReference()))
        return found[-1][1]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in split([body], sizes):
            yield piece

    try:
        asyncio.run(read_form(pieces(), b"cut", open_part))
    finally:
        assert all(kept.closed == 1 for _, kept in found)
    return found


@given(parts=PARTS, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4))
@example(parts=[("a", "b", b"\r\n--cut")], sizes=[1])
@example(parts=[("a", None, b"\r\n--cu\r\n--cu")], sizes=[3])
def test_parts_come_out_as_they_went_in_however_the_stream_is_cut(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int]
) -> None:
    if any(b"--cut" in data for *_, data in parts):
        return  # a client chooses a boundary that is not in its data
    if not parts:
        return
    found = read(form_of(parts), sizes)
    assert [(part.name, part.filename, kept.data) for part, kept in found] == parts


@given(
    parts=PARTS,
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    cut=st.integers(0, 400),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_form_is_read_or_refused_and_nothing_else(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int], cut: int, damage: list[tuple[int, int]]
) -> None:
    body = bytearray(form_of(parts)[: max(1, len(form_of(parts)) - cut)])
    for place, value in damage:
        body[place % len(body)] = value
    with suppress(InvalidRequest):
        read(bytes(body), sizes)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\n\n\r\n"])
@pytest.mark.parametrize("sizes", [[1], [3, 7], [10_000]])
def test_newlines_before_a_form_are_passed_over_and_nothing_else_is(before: bytes, sizes: list[int]) -> None:
    form = form_of([("a", None, b"data")])
    [(part, kept)] = read(before + form, sizes)
    assert (part.name, kept.data) == ("a", b"data")
    for preamble in (b"words\r\n", b"a -\r\n", b"--\r\n"):
        with pytest.raises(InvalidRequest, match="malformed"):
            read(before + preamble + form, sizes)


def test_a_malformed_form_leaves_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidRequest):
        read(form_of([("a", None, b"data")]).replace(b"Content-Disposition", b"Content\0"), [100])
    assert not caplog.records


def test_a_form_that_stops_early_is_refused() -> None:
    whole = form_of([("a", "b", b"data")])
    for length in range(1, len(whole) - 4):
        with pytest.raises(InvalidRequest):
            read(whole[:length], [7])


def test_headers_and_parts_have_limits() -> None:
    with pytest.raises(InvalidRequest, match="header"):
        read(form_of([("a" * PART_HEADER_LIMIT, None, b"")]), [100])
    with pytest.raises(InvalidRequest, match=f"more than {PARTS_LIMIT} parts"):
        read(form_of([("a", None, b"")] * (PARTS_LIMIT + 1)), [10_000])


def test_the_boundary_is_read_from_the_type() -> None:
    assert boundary_of(b'multipart/form-data; boundary="a b"') == b"a b"
    with pytest.raises(UnsupportedMediaType, match="image/png is not read here; send multipart/form-data"):
        boundary_of(b"image/png")
    with pytest.raises(UnsupportedMediaType, match="A body without a type is not read here"):
        boundary_of(b"")
    with pytest.raises(InvalidRequest, match="needs a boundary"):
        boundary_of(b"multipart/form-data")


async def test_a_boundary_that_no_parser_takes_is_told() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"--x"

    with pytest.raises(InvalidRequest, match="malformed"):
        await read_form(body(), b"x" * 1000, lambda _: pytest.fail("there is no part"))
