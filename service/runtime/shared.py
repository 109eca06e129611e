"""Memory that two processes share: one of them writes arrays into it, the other reads them where they lie.

Who writes keeps the account. A place is free again only once the reader says that nothing of it is in use there, be the
request answered, cancelled or late; and each connection has memory of its own, which ends with it. So no array changes
under a reader, and none is mixed up with what another process left. The memory has no name and a fixed size: nothing
lies about when processes are killed, and nobody can cut it short under the other.

Where nothing has lain yet the system is asked to write, which says so if no memory is left; where something has, the
pages are there, and to copy into them takes half the time.
"""

import asyncio
import errno
import fcntl
import mmap
import os
import time
import weakref
from bisect import bisect
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import prod

import numpy as np

from service.runtime.calls import Array

Spec = tuple["np.dtype[np.generic]", tuple[int, ...]]
"""Dtype and shape of an array."""
SHARED_FROM_BYTES = 1 << 16
"""What is smaller is sooner sent than placed."""
ALIGNED = 64
_NEVER_RUN = 0x0008  # MFD_NOEXEC_SEAL, which hardened systems insist on
REST_S = 1.0
"""Memory in which nothing has lain for so long goes back to the system."""


def allocate(size: int) -> int:
    """The descriptor of memory of this size, which takes none before it is written to. Raises OSError."""
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no memory without a name")
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        descriptor = os.memfd_create("chapterhouse", flags | _NEVER_RUN)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.memfd_create("chapterhouse", flags)  # a kernel before 6.3
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def check(descriptor: int, size: int) -> None:
    """Raise OSError unless this is memory of this size that nobody can cut short."""
    if os.fstat(descriptor).st_size < size or not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        raise OSError(f"no memory that keeps its {size} bytes")


class Room:
    """The writer's side of the memory behind a descriptor. Raises OSError."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._pages = _mapped(descriptor)
        self._gaps = [(0, size)]
        """What is free, in order; no two of them touch."""
        self._taken: dict[int, int] = {}
        self._reached = 0
        """Up to here there are pages, for something has lain everywhere before it."""
        self._used = time.monotonic()

    def put(self, arrays: Sequence[Array]) -> int | None:
        """Where copies of the arrays lie from now on, one behind the other; None where there is no room for them."""
        start = self._take(sum([_aligned(array.nbytes) for array in arrays]))
        if start is None:
            return None
        at = start
        for array in arrays:
            if not self._write(array, at):
                self.free(start)
                return None
            at += _aligned(array.nbytes)
        self._reached = max(self._reached, at)
        return start

    def _write(self, array: Array, at: int) -> bool:
        """Whether the array could be written: where memory is short that is an error here, and not a dead process."""
        if self._pages is not None and at + array.nbytes <= self._reached:
            there = np.frombuffer(self._pages, array.dtype, array.size, at)
            np.copyto(there.reshape(array.shape), array)
            return True
        try:
            return os.pwrite(self._descriptor, np.ascontiguousarray(array).data, at) == array.nbytes
        except OSError:
            return False

    def free(self, start: int) -> None:
        """Take back what lies there. Raises ValueError where nothing does."""
        if (end := self._taken.pop(start, None)) is None:
            raise ValueError(f"nothing lies at {start}")
        place = bisect(self._gaps, (start, end))
        if place < len(self._gaps) and self._gaps[place][0] == end:
            end = self._gaps.pop(place)[1]
        if place and self._gaps[place - 1][1] == start:
            place -= 1
            start = self._gaps.pop(place)[0]
        self._gaps.insert(place, (start, end))
        self._used = time.monotonic()

    def _take(self, length: int) -> int | None:
        """The first gap that is large enough: what was used last is still in the processor's cache."""
        for place, (start, end) in enumerate(self._gaps):
            if end - start >= length > 0:
                self._gaps[place : place + 1] = [(start + length, end)] if end - start > length else []
                self._taken[start] = start + length
                return start
        return None

    def rest(self, now: float) -> None:
        """Give its pages back to the system, if nothing has lain there for a while."""
        if self._reached and not self._taken and now - self._used > REST_S:
            with suppress(OSError):
                pages = self._pages or mmap.mmap(self._descriptor, self._reached)
                pages.madvise(mmap.MADV_REMOVE, 0, self._reached)
            self._reached = 0

    def close(self) -> None:
        """Let go of it: nothing is put there any more."""
        self._gaps.clear()
        self._taken.clear()
        self._reached = 0
        self._pages = None
        self._close()


def _mapped(descriptor: int) -> mmap.mmap | None:
    """All of this memory, to be written to; None where a process has no addresses left for it."""
    try:
        return mmap.mmap(descriptor, 0)
    except OSError:
        return None


class View:
    """The reader's side, which tells on its event loop where nothing is in use any more. Raises OSError."""

    def __init__(self, descriptor: int, size: int, tell: Callable[[list[int]], object]) -> None:
        self._size = size
        self._memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._lent: dict[int, weakref.ref[Array]] = {}
        self._returned: deque[int] = deque()
        self._told = True

    def arrays(self, start: int, specs: Sequence[Spec]) -> list[Array]:
        """The arrays that lie there, which nobody can write to. Raises ValueError where there cannot be any."""
        sizes = [dtype.itemsize * prod(shape) for dtype, shape in specs]
        length = sum(map(_aligned, sizes))
        if start % ALIGNED or not 0 < length <= self._size - start or start in self._lent:
            raise ValueError(f"{length} bytes at {start} of {self._size}")
        whole = np.frombuffer(self._memory, np.uint8, length, start)
        self._lent[start] = weakref.ref(whole, lambda _: self._return(start))  # which all that is made of it holds
        found, at = [], 0
        for (dtype, shape), size in zip(specs, sizes, strict=True):
            found.append(whole[at : at + size].view(dtype).reshape(shape))
            at += _aligned(size)
        return found

    def _return(self, start: int) -> None:
        """The last array that lay there is gone, on whichever thread."""
        del self._lent[start]
        self._returned.append(start)
        if self._told:
            self._told = False
            with suppress(RuntimeError):  # the loop is closed, and nobody left to be told
                self._loop.call_soon_threadsafe(self._tell_all)

    def returned(self) -> list[int]:
        """Where nothing is in use any more, of which nobody has been told yet; whoever asks tells."""
        return [self._returned.popleft() for _ in range(len(self._returned))]

    def _tell_all(self) -> None:
        self._told = True
        if places := self.returned():
            self._tell(places)


def _aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED
