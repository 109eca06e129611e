"""What the processes of a cluster know of each other: which models are wanted, which are held, what has changed."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.runtime.calls import LoadedModel

log = logging.getLogger(__name__)

EXCHANGE_S = 0.5
"""Between two words of a process with the hub."""
SILENCE_S = 5.0
"""An engine that has said nothing for so long is counted upon no more."""
KEPT = 1000
"""Changes that are remembered for those who have not heard them yet."""

Models = Mapping[str, LoadedModel]
Handle = Any
"""Where the methods of a deployment are called: `handle.method.remote(…)` is awaited."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says of itself."""

    hub: str = ""
    """The hub that it heard last; empty where it has heard none."""
    wanted: Collection[str] = ()
    """The models that were wanted then."""
    models: Models | None = None
    """What an engine holds; None where this is no engine."""
    heard: int = 0
    """The number of the last change that it has heard."""
    news: Collection[Mapping[str, Any]] = ()
    """Changes that it tells the others."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the hub answers."""

    hub: str
    wanted: frozenset[str]
    models: Models
    heard: int
    news: tuple[Mapping[str, Any], ...]
    engines: int = 0
    """How many are alive."""


@dataclass(slots=True)
class _Engine:
    models: Models
    heard_at: float


@dataclass(slots=True)
class Hub:
    """Of each cluster one. It forgets nothing that matters when it dies: engines tell the next one what is wanted."""

    wanted: set[str]
    clock: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _engines: dict[str, _Engine] = field(default_factory=dict)
    _news: deque[tuple[int, str, Mapping[str, Any]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _count: int = 0
    _unwanted: set[str] = field(default_factory=set)

    def exchange(self, name: str, report: Report) -> Word:
        """Hear a process, and tell it how things stand."""
        if report.hub not in ("", self.id):
            self.wanted |= set(report.wanted) - self._unwanted
        if report.models is not None:
            self._engines[name] = _Engine(report.models, self.clock())
        for change in report.news:
            self._count += 1
            self._news.append((self._count, name, change))
        known = report.heard if report.hub == self.id else self._count
        news = tuple(change for number, teller, change in self._news if number > known and teller != name)
        return Word(self.id, frozenset(self.wanted), self._models(), self._count, news, len(self._engines))

    def want(self, model_id: str) -> None:
        """Have every engine hold a model, also those that are still to come."""
        self.wanted.add(model_id)
        self._unwanted.discard(model_id)

    def unwant(self, model_id: str) -> None:
        """Stop wanting it."""
        self.wanted.discard(model_id)
        self._unwanted.add(model_id)

    def leave(self, name: str) -> None:
        """Forget an engine that ends."""
        self._engines.pop(name, None)

    def _models(self) -> Models:
        """The models that engines hold, the readiest state of each."""
        self._engines = {n: e for n, e in self._engines.items() if self.clock() - e.heard_at < SILENCE_S}
        found: dict[str, LoadedModel] = {}
        for engine in self._engines.values():
            for model_id, held in engine.models.items():
                if model_id not in found or held.state == "ready":
                    found[model_id] = held
        return found


class Member:
    """A process of the cluster, which speaks with the hub now and then."""

    def __init__(self, hub: Handle, name: str, models: Callable[[], Models] | None = None) -> None:
        self._hub = hub
        self._name = name
        self._models = models
        self._told: list[Mapping[str, Any]] = []
        self._speaking: asyncio.Task[None] | None = None
        self._once = asyncio.Lock()
        self.word: Word | None = None
        self.on_word: list[Callable[[Word], object]] = []

    async def start(self) -> None:
        """Begin to speak; the first word has been heard when this returns, unless the hub does not answer."""
        with contextlib.suppress(Exception):
            await self.speak()
        self._speaking = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Say nothing more."""
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
        if self._models is not None:
            with contextlib.suppress(Exception):
                await self._hub.leave.remote(self._name)

    def tell(self, change: Mapping[str, Any]) -> None:
        """Tell all others of a change, with the next word."""
        self._told.append(change)

    async def speak(self) -> None:
        """One word each way, now."""
        async with self._once:
            told, self._told = self._told, []
            before = self.word
            models = None if self._models is None else dict(self._models())
            if before is None:
                report = Report(models=models, news=told)
            else:
                report = Report(before.hub, before.wanted, models, before.heard, told)
            try:
                word = await self._hub.exchange.remote(self._name, report)
            except BaseException:
                self._told = [*told, *self._told]
                raise
            self.word = word
        for hear in self.on_word:
            hear(word)

    async def _go_on(self) -> None:
        silent = False
        while True:
            await asyncio.sleep(EXCHANGE_S)
            try:
                await self.speak()
                silent = False
            except Exception as error:  # noqa: BLE001 - whatever keeps it, the next word may be heard
                if not silent:
                    log.warning("the hub does not answer: %s", type(error).__name__)
                silent = True
