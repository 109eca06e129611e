"""One thread for numpy's linear algebra while something is measured: several round otherwise, and fight for the cores.

The service's own processes are started with one. A program that measures in its own process gets its threads back
when the last of its measurements is over.
"""

import time
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from threadpoolctl import ThreadpoolController

TRIAL = (512, 2048)
"""Rows and dimensions of the product that tells how fast this machine multiplies: some milliseconds."""


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
                self._libraries = self._libraries or ThreadpoolController()  # which takes a millisecond to look
                self._limits = self._libraries.limit(limits=1, user_api="blas")
            self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._entered -= 1
            if not self._entered:
                self._limits.restore_original_limits()


one_thread = OneThread()
"""The threads are those of the whole process, and so is this."""


def multiplications_a_second() -> float:
    """How many multiplications of single precision a product of matrices carries out in a second, here and now."""
    rows, other = np.ones(TRIAL, np.float32), np.ones(TRIAL, np.float32)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        rows @ other.T
        taken.append(time.perf_counter() - began)
    return TRIAL[0] * rows.size / min(taken)
