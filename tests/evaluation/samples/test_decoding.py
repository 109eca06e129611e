"""Work on several threads comes out in order, in bounded memory, and ends when its reader does."""

import threading
from collections.abc import Iterator

import pytest
from waiting import PATIENCE_S

from service.errors import UnreadableArchive
from service.evaluation.samples import decoding
from service.evaluation.samples.decoding import LIGHT_BYTES, LOT_ITEMS, in_order


def test_results_come_in_the_order_of_the_items_whichever_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "THREADS", 2)
    later_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later_is_done.wait(PATIENCE_S)
        if item == 2 * LOT_ITEMS - 1:
            later_is_done.set()
        return item * item

    items = range(5 * LOT_ITEMS)
    assert list(in_order(items, work, size_of=lambda _: LIGHT_BYTES)) == [item * item for item in items]


def test_light_items_are_worked_on_where_they_are_read() -> None:
    threads = in_order(range(3 * LOT_ITEMS), lambda _: threading.get_ident(), size_of=lambda _: LIGHT_BYTES - 1)
    assert set(threads) == {threading.get_ident()}


def test_light_items_wait_for_heavy_ones_before_them() -> None:
    items = [LIGHT_BYTES] * LOT_ITEMS + [1] * LOT_ITEMS
    assert list(in_order(items, abs, size_of=abs)) == items


@pytest.mark.parametrize(
    ("size", "most"), [(LIGHT_BYTES, 7 * LOT_ITEMS), (decoding.AHEAD_BYTES, 3)], ids=["many", "large"]
)
def test_no_more_is_read_ahead_than_there_is_room_for(size: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "THREADS", 2)
    read: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100 * LOT_ITEMS):
            read.append(item)
            yield item

    for done, _ in enumerate(in_order(items(), abs, size_of=lambda _: size)):
        assert len(read) - done <= most
        if done == 10 * LOT_ITEMS:
            break


def test_what_ends_the_items_is_told_after_what_came_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise UnreadableArchive("cut short")

    results = in_order(items(), abs, size_of=lambda _: 1)
    assert [next(results), next(results), next(results)] == [1, 2, 3]
    with pytest.raises(UnreadableArchive, match="cut short"):
        next(results)


def test_an_error_of_the_work_is_raised_in_its_place() -> None:
    results = in_order((1.0, 0.0), lambda item: 1 / item, size_of=lambda _: decoding.LOT_BYTES)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
