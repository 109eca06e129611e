"""What every child process does first: die with its parent, end when that says so, beat, and calm the collector."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
from collections.abc import Callable, Sequence

import orjson

EXIT_CONFIGURATION = 78
"""A child that ends with this (EX_CONFIG) would end so again: the service stops and says why."""
EXIT_UNAVAILABLE = 69
"""A child that ends with this (EX_UNAVAILABLE) could not open its device now, and may later."""
END = signal.SIGUSR1
"""By this the supervisor ends a child. SIGTERM and Ctrl-C go past children: systemd and terminals send them to all
processes at once, and an engine that went at once would leave the fronts' last requests without an answer."""
YOUNG = 10_000
"""New objects after which a front looks for garbage: more than a busy moment makes and forgets by itself."""
_PR_SET_PDEATHSIG = 1


def hold_to_parent(pipe: int) -> None:
    """Be killed when the parent dies, however it dies; `pipe` is the child's end of a socket that the parent holds."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        return  # not Linux: the pipe alone tells
    os.set_blocking(pipe, False)
    try:
        orphaned = os.read(pipe, 1) == b""
    except BlockingIOError:
        orphaned = False
    if orphaned:
        raise SystemExit(1)


def watch_parent(pipe: int) -> None:
    """End this process at once when the parent's end of the pipe closes."""
    os.set_blocking(pipe, False)
    asyncio.get_running_loop().add_reader(pipe, os._exit, 1)


def beat(
    pipe: int,
    every_s: float,
    steps: Callable[[], Sequence[object]] = tuple,
    *,
    also: Callable[[], object] = lambda: None,
) -> None:
    """Tell the parent, now and every so often, that this event loop turns, and what the device's threads are at.

    `also` is called each time.
    """
    loop = asyncio.get_running_loop()

    def tell() -> None:
        # A parent that does not read misses beats; one that is gone is noticed by `watch_parent`.
        with contextlib.suppress(OSError):
            os.write(pipe, orjson.dumps(steps()) + b"\n")
        also()
        loop.call_later(every_s, tell)

    tell()


def on_terminate(callback: Callable[[], object]) -> None:
    """Call back when the supervisor ends this process, inside the event loop."""
    asyncio.get_running_loop().add_signal_handler(END, callback)


def freeze_garbage() -> None:
    """Exempt what start-up made from garbage collection: full collections were the 99th percentile of the latency."""
    gc.collect()
    gc.freeze()


def collect_rarely() -> None:
    """Look for garbage less often than Python does, where what a request takes goes with it and makes none."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
