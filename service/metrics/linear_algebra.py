"""One thread for numpy's linear algebra while something is measured: several round otherwise, and fight for the cores.

The service's own processes are started with one. A program that measures in its own process gets its threads back
when the last of its measurements is over.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

TRIAL = (512, 2048)
"""Rows and dimensions of the product that tells how fast this machine multiplies: some milliseconds."""


T = TypeVar("T")


class OneThread:
    """While it is entered, by however many, numpy and scipy compute with one thread; after that as before."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entered = 0
        self._libraries: Any = None
        self._limits: Any = None

    def __enter__(self) -> Self:
        with self._lock:
            if not self._entered:
                self._limits = self._found().limit(limits=1, user_api="blas")
            self._entered += 1
        return self

    @property
    def threads(self) -> int:
        """How many all of them compute with now, at least."""
        with self._lock:
            return min((library.num_threads for library in self._found().lib_controllers), default=1)

    def _found(self) -> Any:
        """The libraries of linear algebra, which take a millisecond to look for."""
        self._libraries = self._libraries or ThreadpoolController().select(user_api="blas")
        return self._libraries

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._entered -= 1
            if not self._entered:
                self._limits.restore_original_limits()


one_thread = OneThread()
"""The threads are those of the whole process, and so is this."""


def both(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """What two pieces of work answer, done at the same time with one thread each where linear algebra has two.

    A product shared by two threads keeps them busy for five sixths of the time, and what is done between products,
    with one thread, keeps one of them busy. With one thread, or many, the work is done one after the other.
    """
    if one_thread.threads != len((first, second)):
        return first(), second()
    with one_thread, ThreadPoolExecutor(1, thread_name_prefix="metric") as pool:
        beside = pool.submit(copy_context().run, second)
        return first(), beside.result()


def multiplications_a_second() -> float:
    """How many multiplications of single precision a product of matrices carries out in a second, here and now."""
    rows, other = np.ones(TRIAL, np.float32), np.ones(TRIAL, np.float32)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        rows @ other.T
        taken.append(time.perf_counter() - began)
    return TRIAL[0] * rows.size / min(taken)
