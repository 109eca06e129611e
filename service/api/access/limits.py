"""The limits of each key, over all fronts together: requests a second, and requests at once.

Fronts share a file for each key that has limits. A slot is a lock on a byte of it, which the kernel takes back from a
front however it ends; the rate is one number, the moment at which the next request would be on time (GCRA).
"""

import fcntl
import math
import os
import struct
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from service.errors import LimitReached
from service.evaluation.queue.keys import Key

TRIES = 1000
"""How often the lock on the rate is tried, held for a microsecond each time, before one goes on without it."""
_MOMENT = struct.Struct("d")


class Limits:
    """What the keys have used, in `folder`, or for this process alone."""

    def __init__(self, folder: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._meters: dict[str, Meter] = {}

    def enter(self, key: Key) -> Callable[[], None] | None:
        """Let one request in; what ends it, where that matters. Raises LimitReached."""
        if not key.is_limited:
            return None
        meter = self._meters.get(key.name) or self._meters.setdefault(key.name, Meter(self._open(key.name)))
        slot = None if key.concurrency is None else meter.take_slot(key.name, key.concurrency)
        if key.rate is not None and (late_s := meter.take_turn(key.rate, self._clock())) > 0:
            meter.give_back(slot)
            raise _reached(f"{key.name} may send {key.rate:g} requests a second.", late_s)
        return None if slot is None else lambda: meter.give_back(slot)

    def _open(self, name: str) -> int:
        if self._folder is None:
            with tempfile.TemporaryFile() as file:
                return os.dup(file.fileno())
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


class Meter:
    """The shared file of one key: its rate's moment, and behind that a byte for each slot."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._held: set[int] = set()

    def __del__(self) -> None:
        os.close(self._file)

    def take_slot(self, name: str, count: int) -> int:
        """A slot of so many that nobody has. Raises LimitReached."""
        for slot in range(count):
            if slot not in self._held:
                with suppress(OSError):  # another front has it
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _MOMENT.size + slot)
                    self._held.add(slot)
                    return slot
        raise _reached(f"{name} may have {count} requests under way.", 1)

    def give_back(self, slot: int | None) -> None:
        """Leave a slot to others."""
        if slot is not None:
            self._held.discard(slot)
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _MOMENT.size + slot)

    def take_turn(self, rate: float, now: float) -> float:
        """The seconds for which a request comes too early; 0, and its turn is taken, where it does not.

        What a second lets in may come at once.
        """
        self._lock()
        try:
            kept = os.pread(self._file, _MOMENT.size, 0)
            moment = max(now, _MOMENT.unpack(kept)[0] if len(kept) == _MOMENT.size else now)
            if moment > now + max(1.0, 1 / rate) + 1e-6:  # put there by an older key of this name
                moment = now
            early_s = moment - now - max(0.0, 1 - 1 / rate)
            if early_s > 1e-9:
                return early_s
            os.pwrite(self._file, _MOMENT.pack(moment + 1 / rate), 0)
            return 0.0
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 0)

    def _lock(self) -> None:
        for _ in range(TRIES):
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
                return


def _reached(detail: str, retry_after_s: float) -> LimitReached:
    error = LimitReached(detail)
    error.retry_after_s = max(1, math.ceil(retry_after_s))
    return error
