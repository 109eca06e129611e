import asyncio
import errno
import mmap
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from waiting import eventually

from service.runtime.calls import Array
from service.runtime.shared import ALIGNED, REST_S, Room, View, allocate, check

SIZE = 1 << 16
ARRAYS = st.sampled_from(["uint8", "int64", "float16", "float32", "float64"]).flatmap(
    lambda name: stn.arrays(name, stn.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = allocate(SIZE)
    yield descriptor
    os.close(descriptor)


def specs_of(arrays: list[Array]) -> list[tuple["np.dtype[np.generic]", tuple[int, ...]]]:
    return [(array.dtype, array.shape) for array in arrays]


@given(arrays=st.lists(ARRAYS, min_size=1, max_size=4).filter(lambda some: any(array.size for array in some)))
def test_arrays_are_read_as_they_were_written_and_cannot_be_changed(arrays: list[Array]) -> None:
    async def write_and_read() -> list[Array]:
        descriptor = allocate(SIZE)
        room, view = Room(descriptor, SIZE), View(descriptor, SIZE, lambda _: None)
        os.close(descriptor)
        start = room.put(arrays)
        assert start is not None
        room.close()
        return view.arrays(start, specs_of(arrays))

    found = asyncio.run(write_and_read())
    for one, other in zip(found, arrays, strict=True):
        assert (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())
        assert not one.flags.writeable


def test_an_array_that_does_not_lie_in_a_row_is_written_as_it_is_seen(descriptor: int) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    start = Room(descriptor, SIZE).put([array])
    assert start is not None
    assert os.pread(descriptor, array.nbytes, start) == array.tobytes()


@given(arrays=st.lists(ARRAYS, min_size=1, max_size=4).filter(lambda some: any(array.size for array in some)))
def test_what_is_written_where_something_has_lain_is_what_is_read(arrays: list[Array]) -> None:
    descriptor = allocate(SIZE)
    room = Room(descriptor, SIZE)
    for number, stale in ((255, 3 * SIZE // 4), (254, SIZE // 4)):  # then the one page is there, and the other is not
        old = room.put([np.full(stale, number, np.uint8)])
        assert old is not None
        room.free(old)
        start = room.put([*arrays, np.arange(1000)[::-3]])
        assert start is not None
        at = start
        for array in (*arrays, np.arange(1000)[::-3]):
            assert os.pread(descriptor, array.nbytes, at) == array.tobytes()
            at += -(-array.nbytes // ALIGNED) * ALIGNED
        room.free(start)
        room.rest(np.inf)
    room.close()
    os.close(descriptor)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 20_000)), max_size=40))
def test_no_two_things_lie_in_one_place_and_all_of_it_can_be_used_again(steps: list[tuple[bool, int]]) -> None:
    descriptor = allocate(SIZE)
    room = Room(descriptor, SIZE)
    os.close(descriptor)
    lie: dict[int, int] = {}
    for frees, number in steps:
        if frees and lie:
            start = sorted(lie)[number % len(lie)]
            del lie[start]
            room.free(start)
        elif (found := room.put([np.zeros(number, np.uint8)])) is not None:
            assert found % ALIGNED == 0
            assert found + number <= SIZE
            assert all(found + number <= start or start + length <= found for start, length in lie.items())
            lie[found] = number
    for start in lie:
        room.free(start)
    assert room.put([np.zeros(SIZE, np.uint8)]) == 0
    room.close()


async def test_a_place_is_told_to_be_free_once_nothing_that_lay_there_is_in_use(descriptor: int) -> None:
    told: list[int] = []
    room, view = Room(descriptor, SIZE), View(descriptor, SIZE, told.extend)
    arrays: list[Array] = [np.arange(5000, dtype=np.float32), np.ones((2, 3))]
    start = room.put(arrays)
    assert start is not None
    found = view.arrays(start, specs_of(arrays))
    part = found[0].reshape(50, 100)[7]
    del found
    await asyncio.sleep(0)
    assert told == []
    np.testing.assert_array_equal(part, np.arange(700, 800))
    del part
    await eventually(lambda: told == [start])


async def test_a_place_is_told_to_be_free_from_any_thread(descriptor: int) -> None:
    told: list[int] = []
    view = View(descriptor, SIZE, told.extend)
    places = list(range(0, 64 * ALIGNED, ALIGNED))
    lent = [view.arrays(start, [(np.dtype(np.uint8), (1,))]) for start in places]
    await asyncio.to_thread(lent.clear)
    await eventually(lambda: sorted(told) == places)


def test_what_outlives_the_event_loop_harms_nobody(descriptor: int) -> None:
    async def read() -> list[Array]:
        return View(descriptor, SIZE, lambda _: None).arrays(0, [(np.dtype(np.uint8), (1,))])

    found = asyncio.run(read())
    assert found[0].tolist() == [0]
    found.clear()


@pytest.mark.parametrize(
    ("start", "shape"),
    [(1, (1,)), (SIZE, (1,)), (SIZE - ALIGNED, (ALIGNED + 1,)), (2**63, (1,)), (0, (SIZE + 1,)), (0, (2**62, 2**62)),
     (0, (0,)), (ALIGNED, (8,))],
)  # fmt: skip
async def test_no_array_reaches_beyond_its_memory_nor_into_what_is_in_use(
    descriptor: int, start: int, shape: tuple[int, ...]
) -> None:
    view = View(descriptor, SIZE, lambda _: None)
    held = view.arrays(ALIGNED, [(np.dtype(np.uint8), (8,))])
    with pytest.raises(ValueError, match=r"\w"):
        view.arrays(start, [(np.dtype(np.uint8), shape)])
    assert held[0].tolist() == [0] * 8


def test_where_there_is_no_room_nothing_is_put(descriptor: int) -> None:
    room = Room(descriptor, SIZE)
    start = room.put([np.zeros(SIZE // 2 + 1, np.uint8)])
    assert start is not None
    assert room.put([np.zeros(SIZE // 2 + 1, np.uint8)]) is None
    room.free(start)
    for wrong in (start, 12345):
        with pytest.raises(ValueError, match="nothing lies"):
            room.free(wrong)
    assert room.put([np.zeros(SIZE + 1, np.uint8)]) is None
    room.close()
    assert room.put([np.zeros(1, np.uint8)]) is None


def test_a_process_without_addresses_left_has_the_system_write(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> mmap.mmap:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with monkeypatch.context() as patched:
        patched.setattr(mmap, "mmap", refuse)
        room = Room(descriptor, SIZE)
    for number in (1, 2):
        start = room.put([np.full(100, number, np.uint8)])
        assert start is not None
        assert os.pread(descriptor, 100, start) == bytes([number]) * 100
        room.free(start)
    room.rest(np.inf)
    assert os.fstat(descriptor).st_blocks == 0


def test_memory_that_cannot_be_had_is_no_room_and_no_dead_process(descriptor: int) -> None:
    room = Room(descriptor, 2 * SIZE)  # more than there is, as where the system has no page left
    assert room.put([np.zeros(SIZE + 1, np.uint8)]) is None
    assert room.put([np.zeros(SIZE, np.uint8)]) == 0


def _cut(descriptor: int) -> None:
    os.ftruncate(descriptor, SIZE // 2)


def _grow(descriptor: int) -> None:
    os.ftruncate(descriptor, SIZE * 2)


@pytest.mark.parametrize("change", [_cut, _grow])
def test_nobody_can_change_the_size_of_the_memory(descriptor: int, change: Callable[[int], None]) -> None:
    check(descriptor, SIZE)
    with pytest.raises(PermissionError):
        change(descriptor)


def test_memory_that_could_be_cut_short_or_is_too_small_is_refused(descriptor: int) -> None:
    with pytest.raises(OSError, match="no memory that keeps"):
        check(descriptor, SIZE + 1)
    other = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    os.ftruncate(other, SIZE)
    with pytest.raises(OSError, match="no memory that keeps"):
        check(other, SIZE)
    os.close(other)


def test_pages_go_back_to_the_system_once_nothing_has_lain_there_for_a_while(descriptor: int) -> None:
    room = Room(descriptor, SIZE)
    start = room.put([np.ones(SIZE, np.uint8)])
    assert start is not None
    room.rest(np.inf)
    assert os.fstat(descriptor).st_blocks > 0
    room.free(start)
    room.rest(0.0)
    assert os.fstat(descriptor).st_blocks > 0
    room.rest(np.inf)
    assert os.fstat(descriptor).st_blocks == 0
    assert REST_S > 0
    assert room.put([np.ones(SIZE, np.uint8)]) == 0
