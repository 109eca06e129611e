"""What a front reads when it is scraped: readiness, models, the queue of evaluations, their latest scores, the disk.

What cannot be read is left out of the answer, and the rest of it comes all the same and in time.
"""

import asyncio
import logging
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from prometheus_client.core import Metric

from service import __version__
from service.api.collecting import Joining
from service.api.health import missing_of
from service.api.state import State
from service.errors import DatabaseUnavailable, ServiceError
from service.evaluation.queue.standing import Standing
from service.files import bytes_of, files_below
from service.machine import installed
from service.telemetry.instruments import written
from service.telemetry.readings import Readings

log = logging.getLogger(__name__)

DATABASE_S = 1.0
"""How long the database may take before a scrape goes on without it."""
DISK_EVERY_S = 15.0
PARTS = ("uploads", "reports", "references", "models")
"""The folders of the state directory whose sizes are told; the database's files are a part of their own."""


class Scraping:
    """The readings of one front."""

    def __init__(self, state: State, is_draining: Callable[[], bool]) -> None:
        self._state = state
        self._is_draining = is_draining
        self._scraped = Joining(self._scrape)
        self._standing = Standing(state.jobs)
        self._disk: dict[str, int] = {}
        self._looked = -DISK_EVERY_S

    async def text(self, names: Sequence[str] | None = None) -> bytes:
        """What Prometheus is answered; with `names`, only the samples that are called so."""
        families, whole = await self._scraped()
        return await asyncio.to_thread(written, families, names) if names else whole

    async def _scrape(self) -> tuple[Sequence[Metric], bytes]:
        readings = await self.read(draining=self._is_draining())
        families = [*await self._state.collecting.families(), *readings.collect()]
        return families, await asyncio.to_thread(written, families)

    async def read(self, *, draining: bool) -> Readings:
        """How things stand now."""
        readings = Readings()
        readings.add("chapterhouse_build_info", 1, *_versions())
        self._read_models(readings, draining=draining)
        try:
            async with asyncio.timeout(DATABASE_S):
                await self._read_evaluations(readings)
        except (DatabaseUnavailable, TimeoutError):
            pass  # chapterhouse_database_answers says so
        await self._read_disk(readings)
        return readings

    def _read_models(self, readings: Readings, *, draining: bool) -> None:
        state = self._state
        known = state.engines.models()
        readings.add("chapterhouse_ready", not draining and not missing_of(state.settings.wanted_models, known))
        held = {name: loaded for name, loaded in known.items() if loaded.state == "ready"}
        for name, loaded in held.items():
            try:
                manifest = state.store.get(name).manifest
            except ServiceError:
                continue  # its files were removed while it is loaded
            words = (name, loaded.version, manifest.task, manifest.net, manifest.dataset)
            readings.add("chapterhouse_model_info", 1, *words)

    async def _read_evaluations(self, readings: Readings) -> None:
        for status, crowd in (await self._state.database.ask(self._standing.crowds)).items():
            readings.add("chapterhouse_evaluations_open", crowd.count, status)
            readings.add("chapterhouse_evaluation_oldest_seconds", crowd.oldest_s, status)
        for place, scores in enumerate(await self._state.database.ask(self._standing.scores), start=1):
            for metric, value in scores.values.items():
                readings.add("chapterhouse_evaluation_score", value, f"{place:02d}", metric, scores.reference)

    async def _read_disk(self, readings: Readings) -> None:
        state_dir = self._state.settings.state
        if time.monotonic() - self._looked > DISK_EVERY_S:
            self._looked = time.monotonic()
            self._disk = await asyncio.to_thread(_sizes, state_dir)
        for part, size in self._disk.items():
            readings.add("chapterhouse_disk_used_bytes", size, part)
        try:
            usage = shutil.disk_usage(state_dir)
        except OSError:
            return
        readings.add("chapterhouse_disk_free_bytes", usage.free)
        readings.add("chapterhouse_disk_size_bytes", usage.total)


def _sizes(state_dir: Path) -> dict[str, int]:
    sizes = {part: bytes_of(files_below(state_dir / part)) for part in PARTS}
    return {**sizes, "database": bytes_of(state_dir.glob("chapterhouse.db*"))}


@lru_cache
def _versions() -> tuple[str, str, str, str]:
    torch, numpy = (installed(package) or "" for package in ("torch", "numpy"))
    return __version__, platform.python_version(), torch, numpy
