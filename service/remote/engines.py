"""An engine as a replica of a cluster: one device, which answers calls and holds what the hub wants."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from service.errors import ServiceError
from service.remote.hub import Handle, Member, Word
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.runtime.cards.opening import open_device
from service.runtime.devices import MOST_ROWS
from service.runtime.engine import Engine
from service.runtime.frames import error_to_meta
from service.runtime.improving import FormChoice
from service.runtime.in_process import OwnEngine
from service.runtime.noting import DeviceVitals
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.gathering import Families, families_of
from service.telemetry.instruments import Instruments

log = logging.getLogger(__name__)

Outcome = list[Array] | dict[str, Any]
"""Arrays, or an error as its type and detail: nothing is raised over the cluster's own way of telling errors."""


class RemoteEngine:
    """One device of the cluster."""

    def __init__(self, settings: Settings, device: str, hub: Handle, name: str) -> None:
        self.name = name
        self._instruments = Instruments()
        opened = open_device(
            device,
            threads=settings.engine_threads,
            most_threads=settings.most_engine_threads,
            most_rows=MOST_ROWS,
        )
        self._engine = Engine(
            ModelStore.of(settings),
            opened,
            instruments=self._instruments,
            queue_limit=settings.queue_limit,
            forms=FormChoice.of(settings),
        )
        self._local = OwnEngine(self._engine)
        self._vitals = DeviceVitals(self._instruments.conditions, opened)
        self._member = Member(hub, name, self._engine.models)
        self._member.on_word.append(self._hear)
        self._first = settings.wanted_models
        self._missing: set[str] = set()
        self._failed: set[str] = set()
        """What is wanted and could not be loaded: it is not tried again until somebody wants it anew."""
        self._loading: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve, with everything that is wanted warm when this returns."""
        self._serving = await self._engine.start()
        for model_id in self._first:
            await self._load(model_id)
        await self._member.start()
        if self._loading is not None:
            await self._loading

    async def stop(self) -> None:
        """Finish what is queued."""
        await self._member.stop()
        await self._engine.stop()

    def check(self) -> None:
        """Raise what the device died of."""
        if self._serving is not None and self._serving.done():
            self._serving.result()

    async def submit(
        self, call: Call, arrays: Sequence[Array], lane: Lane, left_s: float | None, request_id: str
    ) -> Outcome:
        """The answer, or the error that was met; `left_s` is the time until the caller's deadline."""
        deadline = None if left_s is None else time.monotonic() + left_s
        return await _told(
            lambda: self._local.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        )

    async def load(self, model_id: str) -> Outcome:
        """Load and warm a model."""
        return await self._change(self._local.load, model_id)

    async def unload(self, model_id: str) -> Outcome:
        """Let go of a model."""
        return await self._change(self._local.unload, model_id)

    async def _change(self, verb: Callable[[str], Awaitable[None]], model_id: str) -> Outcome:
        async def change() -> list[Array]:
            await verb(model_id)
            with contextlib.suppress(Exception):  # the next word tells it
                await self._member.speak()
            return []

        return await _told(change)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held."""
        return self._engine.models()

    def families(self) -> Families:
        """Its instruments as they stand."""
        self._vitals.note()
        return families_of(self._instruments)

    def rows_waiting(self) -> int:
        """The rows that are not answered yet."""
        return self._engine.rows_waiting()

    def _hear(self, word: Word) -> None:
        """Begin to load what is wanted and not held."""
        self._failed &= word.wanted
        self._missing = set(word.wanted) - self._engine.models().keys() - self._failed
        if self._missing and (self._loading is None or self._loading.done()):
            self._loading = asyncio.create_task(self._load_missing())

    async def _load_missing(self) -> None:
        for model_id in sorted(self._missing):
            await self._load(model_id)

    async def _load(self, model_id: str) -> None:
        try:
            await self._engine.load(model_id)
        except ServiceError as error:
            self._failed.add(model_id)
            log.error("%s is wanted and cannot be loaded: %s", model_id, error.detail)  # noqa: TRY400


async def _told(work: Callable[[], Awaitable[list[Array]]]) -> Outcome:
    try:
        return await work()
    except ServiceError as error:
        return error_to_meta(error)
