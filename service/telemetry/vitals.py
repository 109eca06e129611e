"""What a process takes: processor time, memory and descriptors, noted at its beats while it does anything."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from service.telemetry.conditions import Conditions

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LITTLE_S = 0.02
"""Processor time in which next to nothing changes."""
LATEST_S = 30.0
"""After so long it is noted again how things stand, however little was done."""


class Vitals:
    """The figures of a process, and of helpers that it has started, which tell nothing of themselves."""

    def __init__(
        self,
        conditions: Conditions,
        role: str,
        *,
        helpers: Callable[[], Iterable[int]] = tuple,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._conditions = conditions
        self._role = role
        self._helpers = helpers
        self._clock = clock
        self._used = used
        self._noted_at = self._noted_used = float("-inf")
        self._cpu_s: dict[int, float] = {}

    def note(self) -> None:
        """Note how things stand, unless they can hardly have changed: an idle process would do little else."""
        helpers, now, used = list(self._helpers()), self._clock(), self._used()
        if not helpers and used - self._noted_used < LITTLE_S and now - self._noted_at < LATEST_S:
            return
        self._noted_at, self._noted_used = now, used
        self._note_all(helpers)

    def _note_all(self, helpers: list[int]) -> None:
        self._note(self._role, [os.getpid()])
        if helpers:
            self._note("reader", helpers)

    def _note(self, role: str, pids: list[int]) -> None:
        conditions = self._conditions
        conditions.process_resident_memory_bytes.labels(role).set(sum(map(resident_bytes, pids)))
        conditions.process_open_descriptors.labels(role).set(sum(map(open_descriptors, pids)))
        for pid in pids:
            now_s = cpu_seconds(pid)
            conditions.process_cpu_seconds.labels(role).inc(max(0.0, now_s - self._cpu_s.get(pid, 0.0)))
            self._cpu_s[pid] = now_s


def resident_bytes(pid: int) -> int:
    """The memory that a process has in the machine's; 0 where the system does not tell."""
    try:
        return int((PROC / str(pid) / "statm").read_text("ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def open_descriptors(pid: int) -> int:
    """How many files and connections a process has open; 0 where the system does not tell."""
    folder = PROC / str(pid) / "fd"
    try:
        return folder.stat().st_size or sum(1 for _ in folder.iterdir())  # since Linux 6.2 its size is the number
    except OSError:
        return 0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken; 0 where the system does not tell."""
    try:
        fields = (PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S
    except (OSError, IndexError):
        return 0.0
