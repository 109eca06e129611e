import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import DeadlineExceeded, ServiceError
from service.runtime.calls import Array, Call, Lane
from service.runtime.queues import Batch, ModelQueue, padded_size, warm_sizes
from service.runtime.work import Work

SHARED = Call("model", "classify")
EXACT = Call("model", "features")


def work_of(
    rows: int, call: Call = SHARED, lane: Lane = Lane.INTERACTIVE, *, deadline: float | None = None
) -> tuple[Work, list[list[Array] | ServiceError]]:
    """A submission whose rows are numbered, and what it is answered with."""
    answers: list[list[Array] | ServiceError] = []
    return Work(call, [np.arange(rows)], rows, lane, deadline, "", answers.append), answers


def queue_of(*works: Work, max_batch: int = 8, block: int = 4, limit: int = 16, padded: bool = False) -> ModelQueue:
    queue = ModelQueue(max_batch=max_batch, block=block, limit=limit, padded=padded)
    for work in works:
        queue.put(work)
    return queue


def shares_of(batch: Batch | None, works: Sequence[Work]) -> list[tuple[int, int, int]]:
    assert batch is not None
    return [(works.index(share.work), share.start, share.stop) for share in batch.shares]


def test_equal_calls_share_a_batch_in_the_order_they_came() -> None:
    works = [work_of(rows)[0] for rows in (1, 2, 3)]
    batch = queue_of(*works).take(Lane.INTERACTIVE)
    assert shares_of(batch, works) == [(0, 0, 1), (1, 0, 2), (2, 0, 3)]


@pytest.mark.parametrize(("padded", "size"), [(False, 6), (True, 8)])
def test_a_batch_is_as_large_as_it_is_unless_sizes_have_to_be_warm(*, padded: bool, size: int) -> None:
    batch = queue_of(*(work_of(rows)[0] for rows in (1, 2, 3)), padded=padded).take(Lane.INTERACTIVE)
    assert batch is not None
    assert (batch.rows, batch.size) == (6, size)


def test_a_submission_larger_than_a_batch_goes_through_several() -> None:
    works = [work_of(5)[0], work_of(9)[0]]
    queue = queue_of(*works)
    assert shares_of(queue.take(Lane.INTERACTIVE), works) == [(0, 0, 5), (1, 0, 3)]
    assert shares_of(queue.take(Lane.INTERACTIVE), works) == [(1, 3, 9)]
    assert queue.take(Lane.INTERACTIVE) is None
    assert len(queue) == 0


def test_calls_that_differ_do_not_share_a_batch() -> None:
    works = [work_of(1)[0], work_of(1, Call("model", "classify", options=(("layer", 3),)))[0], work_of(1)[0]]
    queue = queue_of(*works)
    assert [shares_of(queue.take(Lane.INTERACTIVE), works) for _ in works] == [[(0, 0, 1)], [(1, 0, 1)], [(2, 0, 1)]]


@pytest.mark.parametrize(("call", "lane"), [(EXACT, Lane.INTERACTIVE), (EXACT, Lane.BULK), (SHARED, Lane.BULK)])
def test_exact_and_bulk_work_goes_in_blocks_of_its_own(call: Call, lane: Lane) -> None:
    works = [work_of(6, call, lane)[0], work_of(1, call, lane)[0]]
    queue = queue_of(*works)
    batches = [queue.take(lane) for _ in range(3)]
    assert [shares_of(batch, works) for batch in batches] == [[(0, 0, 4)], [(0, 4, 6)], [(1, 0, 1)]]
    assert [batch.size for batch in batches if batch] == [4, 4, 4]


def test_a_lane_has_room_up_to_its_limit_and_an_empty_one_for_anything() -> None:
    queue = queue_of(limit=4)
    assert queue.has_room(work_of(100)[0])
    queue.put(work_of(3)[0])
    assert queue.has_room(work_of(1)[0])
    assert not queue.has_room(work_of(2)[0])
    assert queue.has_room(work_of(2, lane=Lane.BULK)[0])


def test_what_comes_too_late_is_answered_and_not_taken() -> None:
    late, answers = work_of(2, deadline=time.monotonic() - 1)
    punctual, _ = work_of(1, deadline=time.monotonic() + 1000)
    queue = queue_of(late, punctual)
    assert shares_of(queue.take(Lane.INTERACTIVE), [late, punctual]) == [(1, 0, 1)]
    assert len(answers) == 1
    assert isinstance(answers[0], DeadlineExceeded)


def test_what_is_discarded_half_way_gives_back_the_room_of_its_other_half() -> None:
    long, _ = work_of(11)
    queue = queue_of(long)
    queue.take(Lane.INTERACTIVE)
    queue.discard(long)
    queue.discard(long)
    assert len(queue) == 0
    assert queue.take(Lane.INTERACTIVE) is None


def test_draining_takes_out_everything() -> None:
    works = [work_of(2)[0], work_of(3, lane=Lane.BULK)[0]]
    queue = queue_of(*works)
    assert list(queue.drain()) == works
    assert len(queue) == 0


def test_only_the_first_answer_counts() -> None:
    work, answers = work_of(1)
    work.finish(ServiceError("first"))
    work.finish([])
    assert len(answers) == 1


def test_batches_are_padded_to_powers_of_two_and_to_the_limit() -> None:
    assert [padded_size(rows, 48) for rows in (1, 2, 3, 5, 9, 32, 33, 48)] == [1, 2, 4, 8, 16, 32, 48, 48]
    assert warm_sizes(48) == [1, 2, 4, 8, 16, 32, 48]
    assert warm_sizes(1) == [1]


@given(
    submissions=st.lists(
        st.tuples(st.integers(1, 20), st.sampled_from([SHARED, EXACT]), st.sampled_from(Lane), st.booleans()),
        max_size=12,
    ),
    takes_between=st.integers(0, 3),
)
def test_every_row_is_taken_once_and_none_of_what_was_discarded_before(
    submissions: list[tuple[int, Call, Lane, bool]], takes_between: int
) -> None:
    works = [work_of(rows, call, lane)[0] for rows, call, lane, _ in submissions]
    unwanted = [work for work, (*_, discarded) in zip(works, submissions, strict=True) if discarded]
    queue = queue_of(*works)
    taken: dict[int, list[int]] = {place: [] for place in range(len(works))}

    def take() -> bool:
        batch = queue.take(Lane.INTERACTIVE) or queue.take(Lane.LONG) or queue.take(Lane.BULK)
        for place, start, stop in shares_of(batch, works) if batch else ():
            taken[place] += range(start, stop)
        return batch is not None

    for _ in range(takes_between):
        take()
    before = {place: len(rows) for place, rows in taken.items()}
    for work in unwanted:
        queue.discard(work)
    while take():
        pass
    assert len(queue) == 0
    for place, work in enumerate(works):
        rows = before[place] if work in unwanted else work.rows
        assert taken[place] == list(range(rows))


def test_a_queue_is_as_long_as_both_its_lanes() -> None:
    assert len(queue_of(work_of(2)[0], work_of(3, lane=Lane.BULK)[0])) == 5


@given(rows=st.lists(st.integers(1, 9), min_size=1, max_size=9), gone=st.sets(st.integers(0, 8)), padded=st.booleans())
def test_halves_between_submissions_hold_all_that_is_wanted(rows: list[int], gone: set[int], *, padded: bool) -> None:
    works = [work_of(count)[0] for count in rows]
    batch = queue_of(*works, max_batch=100, limit=100, padded=padded).take(Lane.INTERACTIVE)
    assert batch is not None
    wanted = [place for place in range(len(works)) if place not in gone]
    for place in gone & set(range(len(works))):
        works[place].close()
    halves = batch.between_submissions()
    if len(works) == 1:
        assert halves == []
        return
    assert len(halves) == min(len(wanted), 2)
    assert [works.index(share.work) for half in halves for share in half.shares] == wanted
    counts = [len(half.shares) for half in halves]
    assert max(counts, default=0) - min(counts, default=0) <= 1
    assert all(half.size == (padded_size(half.rows, 100) if padded else half.rows) for half in halves)


@given(rows=st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_halves_between_rows_hold_every_row_once_and_in_order(rows: list[int]) -> None:
    works = [work_of(count)[0] for count in rows]
    batch = queue_of(*works, max_batch=100, limit=100).take(Lane.INTERACTIVE)
    assert batch is not None
    halves = batch.between_rows()
    if batch.rows == 1:
        assert halves == []
        return
    first, second = halves
    assert first.rows - second.rows in (0, 1)
    cut = [
        (works.index(share.work), row)
        for half in halves
        for share in half.shares
        for row in range(share.start, share.stop)
    ]
    assert cut == [(place, row) for place, count in enumerate(rows) for row in range(count)]
    assert all(share.rows for half in halves for share in half.shares)


def test_a_block_that_has_to_be_exact_is_not_cut_between_its_rows() -> None:
    batch = queue_of(work_of(4, EXACT)[0]).take(Lane.INTERACTIVE)
    assert batch is not None
    assert batch.exact
    assert batch.between_rows() == []


@pytest.mark.parametrize(("size", "most"), [(64, 32), (48, 32), (33, 32), (32, 16), (3, 2), (2, 1), (1, 1)])
def test_half_a_size_is_one_that_is_warm(size: int, most: int) -> None:
    queue = queue_of(max_batch=64)
    queue.halve(Lane.INTERACTIVE, size)
    queue.halve(Lane.INTERACTIVE, 64)
    assert queue.most == {Lane.INTERACTIVE: most, Lane.LONG: 64, Lane.BULK: 64}
    assert most in warm_sizes(64)


def test_pieces_of_a_submission_may_come_back_in_any_order() -> None:
    work, answers = work_of(11)
    queue, batches = queue_of(work, max_batch=4), []
    while (batch := queue.take(Lane.INTERACTIVE)) is not None:
        batches.append(batch)
    assert len(batches) == 3
    for batch in (batches[2], batches[0], batches[1]):
        assert answers == []
        [share] = batch.shares
        batch.deliver([np.arange(share.start, share.stop)])
    [answer] = answers
    assert isinstance(answer, list)
    [found] = answer
    np.testing.assert_array_equal(found, np.arange(11))
