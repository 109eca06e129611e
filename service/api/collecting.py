"""The instruments of all processes, read for all who ask at a time together and beside the event loop.

Reading takes longer the more processes and models there are; whoever asks again and again makes nobody wait by that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from prometheus_client.core import Metric

from service.telemetry.instruments import Instruments

T = TypeVar("T")


class Joining(Generic[T]):
    """Makes something once for all who ask while it was being made before: what they get was begun after they asked.

    Where they ask without a pause, it rests between as long as it took, so that others have half of the time.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._now: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._took_s = 0.0

    async def __call__(self) -> T:
        """What is made. Raises whatever making it raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._made(self._now))
        return await asyncio.shield(self._next)

    async def _made(self, before: "asyncio.Task[T] | None") -> T:
        if before is not None:
            await asyncio.wait([before])
            await asyncio.sleep(self._took_s)
        self._now, self._next = self._next, None
        began = time.monotonic()
        try:
            return await self._make()
        finally:
            self._took_s = time.monotonic() - began
            if self._next is None:
                self._now = None


class Collecting:
    """The instruments of all processes of a service, or of this one."""

    def __init__(self, instruments: Instruments, directory: Path | None) -> None:
        self._instruments = instruments
        self._directory = directory
        self._joined = Joining(self._collect)

    async def families(self) -> Sequence[Metric]:
        """Every instrument with its samples."""
        return await self._joined()

    async def samples(self, names: Collection[str]) -> Iterator[tuple[str, dict[str, str], float]]:
        """Name, labels and value of each sample that is called so."""
        found = (sample for family in await self._joined() for sample in family.samples if sample.name in names)
        return ((sample.name, sample.labels, sample.value) for sample in found)

    async def _collect(self) -> Sequence[Metric]:
        collector = self._instruments.collector(self._directory)
        if self._directory is None:
            return [*collector.collect()]  # what is counted in this process, its own thread reads
        return await asyncio.to_thread(lambda: [*collector.collect()])
