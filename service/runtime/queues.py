"""What waits for one model, and which of it shares the next batch."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.errors import DeadlineExceeded
from service.runtime.calls import Array, Call, Lane
from service.runtime.work import Work
from service.tasks.registry import task_of

LATE = "The deadline passed before there was an answer."


@dataclass(frozen=True, slots=True)
class Share:
    """The rows `start` to `stop` of one submission, in one batch."""

    work: Work
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows the share has."""
        return self.stop - self.start

    def arrays(self) -> list[Array]:
        """The rows themselves."""
        return [array[self.start : self.stop] for array in self.work.arrays]

    def deliver(self, results: list[Array]) -> None:
        """Give the submission the results of these rows; answer it when all of its own are there."""
        work = self.work
        if work.over:
            return
        work.pieces.append(results)
        if self.stop == work.rows:
            several = len(work.pieces) > 1
            work.finish([np.concatenate(parts) for parts in zip(*work.pieces, strict=True)] if several else results)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go through one forward pass: the same call, padded to `size`."""

    call: Call
    shares: list[Share]
    size: int
    exact: bool = False
    """Whether it is a block of the one size in which such work is always forwarded, and cannot be cut."""

    @property
    def rows(self) -> int:
        """How many rows the batch has, padding excluded."""
        return sum(share.rows for share in self.shares)

    def is_wanted(self) -> bool:
        """Whether anybody still waits for some of it."""
        return any(not share.work.over for share in self.shares)

    def between_submissions(self) -> list["Batch"]:
        """The two halves of what is still wanted, padded no further than they need.

        None where there was but one submission; one where nobody wants the others, which may be the bad ones, any more.
        """
        wanted = [share for share in self.shares if not share.work.over]
        middle = (len(wanted) + 1) // 2
        return self._of(wanted[:middle], wanted[middle:]) if len(self.shares) > 1 else []

    def between_rows(self) -> list["Batch"]:
        """The two halves of its rows, submissions cut where need be; none for one row, and for what is exact."""
        middle, at = (self.rows + 1) // 2, 0
        if self.exact or middle == self.rows:
            return []
        first: list[Share] = []
        second: list[Share] = []
        for share in self.shares:
            cut = min(max(share.start, share.start + middle - at), share.stop)
            if cut > share.start:
                first.append(Share(share.work, share.start, cut))
            if cut < share.stop:
                second.append(Share(share.work, cut, share.stop))
            at += share.rows
        return self._of(first, second)

    def _of(self, *halves: list[Share]) -> list["Batch"]:
        rows = (sum(share.rows for share in half) for half in halves)
        sizes = (self.size if self.exact else padded_size(count, self.size) for count in rows)
        return [Batch(self.call, half, size, self.exact) for half, size in zip(halves, sizes, strict=True) if half]


class ModelQueue:
    """The submissions for one model, interactive ones before bulk, each lane first come, first served."""

    def __init__(self, *, max_batch: int, block: int, limit: int) -> None:
        self.most = dict.fromkeys(Lane, max_batch)
        """Rows of a batch of each lane, at most; blocks of exact work have a size of their own."""
        self._block = block
        self._limit = limit
        self._lanes: dict[Lane, deque[Work]] = {lane: deque() for lane in Lane}
        self.rows = dict.fromkeys(Lane, 0)
        self.changed = asyncio.Event()

    def __len__(self) -> int:
        return sum(self.rows.values())

    def has_room(self, work: Work) -> bool:
        """Whether the lane takes these rows; an empty lane takes any number, so that no request is too large."""
        waiting = self.rows[work.lane]
        return waiting == 0 or (waiting + work.rows) * task_of(work.call.verb).price <= self._limit

    def put(self, work: Work) -> None:
        """Append a submission to its lane."""
        self._lanes[work.lane].append(work)
        self.rows[work.lane] += work.rows
        self.changed.set()

    def take(self, lane: Lane) -> Batch | None:
        """The next batch of a lane; None when nothing in it is wanted any more."""
        waiting = self._lanes[lane]
        self._drop_unwanted(lane)
        if not waiting:
            return None
        call = waiting[0].call
        exact = lane is Lane.BULK or task_of(call.verb).exact
        if exact:
            return Batch(call, [self._share(lane, self._block)], self._block, exact)
        most = self.most[lane]
        if lane is Lane.LONG:
            share = self._share(lane, most)
            return Batch(call, [share], share.rows)
        shares: list[Share] = []
        room = most
        while room and waiting and waiting[0].call == call:
            shares.append(self._share(lane, room))
            room -= shares[-1].rows
            self._drop_unwanted(lane)
        return Batch(call, shares, padded_size(most - room, most))

    def halve(self, lane: Lane, size: int) -> None:
        """A lane's batches of this size are too large: make none of more than half of it, in a size that is warm."""
        self.most[lane] = min(self.most[lane], 1 << max(0, (size - 1).bit_length() - 1))

    def discard(self, work: Work) -> None:
        """Take out a submission that nobody waits for any more, if it still waits."""
        waiting = self._lanes[work.lane]
        if work in waiting:
            waiting.remove(work)
            self.rows[work.lane] -= work.rows - work.taken

    def _share(self, lane: Lane, room: int) -> Share:
        work = self._lanes[lane][0]
        share = Share(work, work.taken, min(work.taken + room, work.rows))
        work.taken = share.stop
        self.rows[lane] -= share.rows
        if work.taken == work.rows:
            self._lanes[lane].popleft()
        return share

    def _drop_unwanted(self, lane: Lane) -> None:
        """Take out what failed already or comes too late, until the head of the lane is wanted."""
        waiting = self._lanes[lane]
        while waiting:
            work = waiting[0]
            if work.deadline is not None and work.deadline < time.monotonic():
                work.finish(DeadlineExceeded(LATE))
            if not work.over:
                return
            self.discard(work)

    def drain(self) -> Iterator[Work]:
        """Everything that waits, taken out."""
        for lane, waiting in self._lanes.items():
            while waiting:
                yield waiting.popleft()
            self.rows[lane] = 0


def padded_size(rows: int, limit: int) -> int:
    """The next power of two, or the limit: the sizes that are warm."""
    return min(limit, 1 << (rows - 1).bit_length())


def warm_sizes(limit: int) -> list[int]:
    """Every size that `padded_size` can give."""
    return sorted({padded_size(rows, limit) for rows in range(1, limit + 1)})
