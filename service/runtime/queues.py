"""What waits for one model, and which of it shares the next batch."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.errors import DeadlineExceeded
from service.runtime.bunches import Bunch
from service.runtime.calls import Array, Call, Lane
from service.runtime.pace import Pace
from service.runtime.work import Work
from service.tasks.registry import task_of

LATE = "The deadline passed before there was an answer."


class Share(NamedTuple):
    """The rows `start` to `stop` of one submission, in one batch."""

    work: Work
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many rows the share has."""
        return self.stop - self.start

    def arrays(self) -> Sequence[Array]:
        """The rows themselves."""
        work, start, stop = self
        return work.arrays if stop - start == work.rows else [array[start:stop] for array in work.arrays]

    def deliver(self, results: list[Array]) -> None:
        """Give the submission the results of these rows; it is answered when all of its own are there."""
        work, start, stop = self
        if work.over:
            return
        if stop - start == work.rows:
            work.finish(results)
        else:
            work.add(start, stop - start, results)


@dataclass(slots=True, eq=False)
class Batch:
    """Rows that go through one forward pass: the same call, padded to `size` where that is more."""

    call: Call
    shares: list[Share]
    size: int
    exact: bool = False
    """Whether it is a block of the one size in which such work is always forwarded, and cannot be cut."""
    padded: bool = False
    """Whether its parts have to be of sizes that are warm."""
    rows: int = field(init=False)
    """How many rows it has, padding excluded."""

    def __post_init__(self) -> None:
        self.rows = sum([stop - start for _, start, stop in self.shares])

    @property
    def lane(self) -> Lane:
        """The lane that it came from."""
        return self.shares[0].work.lane

    def begin(self, now: float) -> list[float]:
        """It goes to the device: the seconds that each submission has waited for that, told once of those in parts."""
        waited = []
        for work, start, stop in self.shares:
            if isinstance(work, Bunch):
                waited += work.begin(start, stop, now)
            elif start == 0 and work.waited_s is None:
                work.waited_s = now - work.arrived
                waited.append(work.waited_s)
        return waited

    def end(self, seconds: float, now: float) -> None:
        """It has come back from the device, which took so long."""
        for work, start, _ in self.shares:
            if isinstance(work, Bunch):
                work.end(start, seconds, now)
            else:
                work.device_s += seconds
                work.computed = now

    def deliver(self, results: list[Array]) -> None:
        """Give everybody in it the results of their own rows."""
        if len(self.shares) == self.rows:  # one each, as most have
            for share, *row in zip(self.shares, *[result[:, None] for result in results], strict=False):
                share.deliver(row)
            return
        at = 0
        for share in self.shares:
            to = at + share.stop - share.start
            share.deliver([result[at:to] for result in results])
            at = to

    def fall_apart(self) -> None:
        """Have a share for each submission: something is to be done to one of them."""
        shares: list[Share] = []
        for share in self.shares:
            work, start, stop = share
            shares += (
                [Share(work.part(row), 0, 1) for row in range(start, stop)] if isinstance(work, Bunch) else [share]
            )
        self.shares = shares

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
        return [self._with(half) for half in halves if half]

    def _with(self, shares: list[Share]) -> "Batch":
        rows = sum(share.rows for share in shares)
        size = self.size if self.exact else padded_size(rows, self.size) if self.padded else rows
        return Batch(self.call, shares, size, self.exact, self.padded)


class ModelQueue:
    """The submissions for one model, interactive ones before bulk, each lane first come, first served.

    Batches that many share are as large as they are, or, where they are `padded`, of a size that is warm.
    """

    def __init__(self, *, max_batch: int, block: int, limit: int, padded: bool = False) -> None:
        self.padded = padded
        self.most = dict.fromkeys(Lane, max_batch)
        """Rows of a batch of each lane, at most; blocks of exact work have a size of their own."""
        self._block = block
        self._limit = limit
        self._lanes: dict[Lane, deque[Work]] = {lane: deque() for lane in Lane}
        self.rows = dict.fromkeys(Lane, 0)
        self._paces = {lane: Pace() for lane in Lane}
        self.changed = asyncio.Event()

    def __len__(self) -> int:
        return sum(self.rows.values())

    def has_room(self, work: Work) -> bool:
        """Whether the lane takes these rows; an empty lane takes any number, so that no request is too large."""
        waiting = self.rows[work.lane]
        if waiting == 0 and not isinstance(work, Bunch):
            return True
        return (waiting + work.rows) * task_of(work.call.verb).price <= self._limit

    def room_in_s(self, lane: Lane) -> float:
        """When all that waits in a full lane will have left it, as it goes now."""
        return self._paces[lane].wait_s(self.rows[lane])

    def put(self, work: Work) -> None:
        """Append a submission to its lane."""
        self._lanes[work.lane].append(work)
        self.rows[work.lane] += work.rows
        self.changed.set()

    def take(self, lane: Lane) -> Batch | None:
        """The next batch of a lane; None when nothing in it is wanted any more."""
        batch = self._take(lane)
        if batch is not None:
            self._paces[lane].leave(batch.rows, self.rows[lane])
        return batch

    def _take(self, lane: Lane) -> Batch | None:
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
        while room and waiting and (waiting[0].call is call or waiting[0].call == call):
            shares.append(share := self._share(lane, room))
            room -= share.stop - share.start
            if waiting and (waiting[0].over or waiting[0].deadline is not None):
                self._drop_unwanted(lane)
        rows = most - room
        return Batch(call, shares, padded_size(rows, most) if self.padded else rows, padded=self.padded)

    def halve(self, lane: Lane, size: int) -> None:
        """A lane's batches of this size are too large: make none of more than half of it, in a size that is warm."""
        self.most[lane] = min(self.most[lane], 1 << max(0, (size - 1).bit_length() - 1))

    def part(self, bunch: Bunch) -> None:
        """Have what waits of a bunch wait in its place as submissions of their own."""
        waiting = self._lanes[bunch.lane]
        if bunch in waiting:
            place = waiting.index(bunch)
            waiting.rotate(-place)
            waiting.popleft()
            waiting.extendleft(reversed(bunch.waiting()))
            waiting.rotate(place)

    def discard(self, work: Work) -> None:
        """Take out a submission that nobody waits for any more, if it still waits."""
        waiting = self._lanes[work.lane]
        if work in waiting:
            waiting.remove(work)
            self.rows[work.lane] -= work.rows - work.taken

    def _share(self, lane: Lane, room: int) -> Share:
        waiting = self._lanes[lane]
        work = waiting[0]
        start, rows = work.taken, work.rows
        stop = rows if rows - start <= room else start + room
        work.taken = stop
        self.rows[lane] -= stop - start
        if stop == rows:
            waiting.popleft()
        return Share(work, start, stop)

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
