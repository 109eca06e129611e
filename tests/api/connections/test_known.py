"""Heads are known by all of their bytes, as many as there is room for, and none that says something else each time."""

from doubles import FakeEngine

from service.api.access.callers import caller_at
from service.api.access.proxies import Place
from service.api.connections.known import LONGEST_BYTES, MOST, MOST_PEERS, Head, KnownHeads
from service.api.gate import Passage
from service.api.together import DirectPath, Together
from service.runtime.calls import TaskPosting

DIRECT = DirectPath(lambda *_: None, Together(TaskPosting(FakeEngine())))


def head(length: int = 3, **headers: str) -> Head:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Head(DIRECT, "/classify", b"/classify", b"", lines, dict(lines), length, {})


def bytes_of(name: str) -> bytes:
    return f"POST /classify HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()


def test_a_whole_request_with_a_known_head_is_found() -> None:
    known, said = KnownHeads(), head(host="a")
    known.remember(bytes_of("a") + b"123", said)
    assert known.find(bytes_of("a") + b"abc") == (said, b"abc")
    assert known.find(bytes_of("a") + b"\r\n\r")[1] == b"\r\n\r"  # type: ignore[index]


def test_what_is_not_whole_or_more_than_that_or_another_is_not_found() -> None:
    known = KnownHeads()
    known.remember(bytes_of("a") + b"123", head(host="a"))
    for data in (b"", bytes_of("a"), bytes_of("a") + b"12", bytes_of("a") + b"1234", bytes_of("b") + b"123"):
        assert known.find(data) is None


def test_what_begins_or_ends_with_something_else_is_not_remembered() -> None:
    known = KnownHeads()
    for data in (bytes_of("a") + b"12", bytes_of("a") + b"1234", b"\r\n\r\n" + bytes_of("a") + b"123", b"123"):
        known.remember(data, head(host="a"))
    known.remember(bytes_of("a") + b"123", head(x_request_id="1"))
    known.remember(bytes_of("a" * LONGEST_BYTES) + b"123", head(host="a" * LONGEST_BYTES))
    assert len(known) == 0


def test_the_oldest_gives_way_where_there_are_too_many() -> None:
    known = KnownHeads()
    for number in range(MOST + 1):
        known.remember(bytes_of(str(number)) + b"123", head(host=str(number)))
    assert len(known) == MOST
    assert known.find(bytes_of("0") + b"123") is None
    assert known.find(bytes_of(str(MOST)) + b"123") is not None


def test_of_those_that_were_let_in_the_last_are_remembered() -> None:
    said = head(host="a")
    passages = [Passage(Place("/classify", "", caller_at(f"192.0.2.{n}"), ()), []) for n in range(MOST_PEERS + 1)]
    for passage in passages:
        said.remember(passage.place.caller.address, passage)
    assert list(said.passages.values()) == passages[1:]
