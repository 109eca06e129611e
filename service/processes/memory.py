"""How an engine keeps its memory, and how a front gives it back."""

import asyncio
import ctypes
import threading
from collections.abc import Mapping

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
NEVER = 2**31 - 1
STEP_BYTES = 64 << 20
STACK_BYTES = 1 << 20
LARGE_BYTES = 1 << 17
RETURN_AFTER_S = 1.0


def keep_memory() -> None:
    """Let what was freed wait for the next batch instead of going back to the system.

    glibc maps each large tensor anew and gives it back when it is freed, so that every batch meets millions of empty
    pages: forwarding 128 images through NIN took twice as long. All threads share one heap, for only that one grows
    without limit. Where there is no glibc, nothing happens.
    """
    _tell_allocator({M_ARENA_MAX: 1, M_MMAP_THRESHOLD: NEVER, M_TRIM_THRESHOLD: NEVER, M_TOP_PAD: STEP_BYTES})


def share_heap() -> None:
    """Have all threads use one heap, and large blocks lie beside it, whose addresses are free again with them.

    Each further heap takes 64 MiB of addresses and keeps what was freed in it; and glibc, left alone, puts ever larger
    blocks into the heap once one has been freed, where a small one behind them keeps their place.
    """
    _tell_allocator({M_ARENA_MAX: 1, M_MMAP_THRESHOLD: LARGE_BYTES})


def keep_stacks_small() -> None:
    """Have threads that begin from now on reserve 1 MiB for their stacks; forty that write uploads took 320 MiB."""
    threading.stack_size(STACK_BYTES)


def _tell_allocator(options: Mapping[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # not glibc
    for option, value in options.items():
        mallopt(option, value)


class MemoryReturn:
    """Gives what was freed back to the system, a while after large bodies: glibc alone keeps most of it for ever."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Do so once in the next seconds, however often this is said."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETURN_AFTER_S, self._give_back)

    def _give_back(self) -> None:
        self._timer = None
        give_back_memory()


def give_back_memory() -> None:
    """Give what was freed back to the system now."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return  # not glibc
