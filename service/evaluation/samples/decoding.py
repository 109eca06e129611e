"""Files to pixels on several threads: the decoders and the resizing let go of the interpreter's lock."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

from service.errors import UnreadableArchive
from service.machine import cores

THREADS = min(8, cores())
"""Each may hold a picture of the largest size that is decoded."""
LOT_ITEMS = 32
LOT_BYTES = 1 << 20
LIGHT_BYTES = 4096
"""Items of less are worked on where they are read: the interpreter's lock is held most of the time for such, and
10,000 PNGs of 32×32 take a fifth longer on two threads than on one."""
AHEAD_BYTES = 32 << 20
"""Read ahead of the decoders is no more than this and one lot."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(items: Iterable[T], work: Callable[[T], R], *, size_of: Callable[[T], int]) -> Iterator[R]:
    """`work` of every item, done on several threads, in the order of the items and in bounded memory.

    An UnreadableArchive that the items end with is raised after the work on those before it.
    """
    with _Ahead(work) as ahead:
        try:
            for lot, size_bytes in _lots(items, size_of):
                if ahead.is_idle and size_bytes < LIGHT_BYTES * len(lot):
                    yield from map(work, lot)
                    continue
                ahead.take(lot, size_bytes)
                while ahead.is_full:
                    yield from ahead.first()
        except UnreadableArchive:
            yield from ahead.rest()
            raise
        yield from ahead.rest()


class _Ahead(Generic[T, R]):
    """Lots that are being worked on, the one taken first in front."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._lots: deque[tuple[Future[list[R]], int]] = deque()
        self._size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def is_idle(self) -> bool:
        return not self._lots

    @property
    def is_full(self) -> bool:
        return len(self._lots) > 2 * THREADS or (self._size_bytes > AHEAD_BYTES and len(self._lots) > 1)

    def take(self, lot: list[T], size_bytes: int) -> None:
        self._lots.append((self._pool.submit(self._each, lot), size_bytes))
        self._size_bytes += size_bytes

    def first(self) -> list[R]:
        future, size_bytes = self._lots.popleft()
        self._size_bytes -= size_bytes
        return future.result()

    def rest(self) -> Iterator[R]:
        while self._lots:
            yield from self.first()

    def _each(self, lot: list[T]) -> list[R]:
        return [self._work(item) for item in lot]


def _lots(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[tuple[list[T], int]]:
    """The items in lots, with their bytes: one alone is not worth a change of threads."""
    lot: list[T] = []
    size_bytes = 0
    try:
        for item in items:
            lot.append(item)
            size_bytes += size_of(item)
            if len(lot) == LOT_ITEMS or size_bytes >= LOT_BYTES:
                yield lot, size_bytes
                lot, size_bytes = [], 0
    except UnreadableArchive:
        yield lot, size_bytes
        raise
    yield lot, size_bytes
