"""Models in whose forward passes engines hung: every engine is told to refuse them for a while, longer each time."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from service.runtime.aside import Aside
from service.runtime.pool import EnginePool
from service.telemetry.conditions import Conditions

log = logging.getLogger(__name__)

LONGEST_S = 86_400.0
TELLING_S = 1.0
"""So long the engines have to hear of it before the one that hangs is killed, and what it held goes to the others."""


class Offence:
    """One model, how often engines hung in it, and until when it is set aside for that."""

    def __init__(self) -> None:
        self.version = ""
        self.times = 0
        self.until = 0.0


class SettingAside:
    """All of a service. With no seconds at all nothing is ever set aside."""

    def __init__(
        self, first_s: float, pool: EnginePool, conditions: Conditions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_s = first_s
        self._pool = pool
        self._conditions = conditions
        self._clock = clock
        self._offences: dict[str, Offence] = {}

    async def note(self, model_id: str) -> None:
        """An engine hangs in a forward pass of this model: no other is to be given it, nor the next in its place."""
        if not model_id or self._first_s <= 0:
            return
        offence = self._offences.setdefault(model_id, Offence())
        held = self._pool.models().get(model_id)
        version = "" if held is None else held.version
        now = self._clock()
        if version != offence.version:
            offence.times = 0
        if offence.until <= now or not offence.times:  # else several engines were given it at once
            offence.times += 1
        offence.version = version
        seconds = min(LONGEST_S, self._first_s * 2 ** (offence.times - 1))
        offence.until = now + seconds
        log.error("%s is set aside for %.0f s: an engine hung in it, %d times so far", model_id, seconds, offence.times)
        self._conditions.model_set_aside.labels(model_id).set(1)
        await self._tell(Aside(model_id, version, seconds))

    async def lift(self, model_id: str) -> None:
        """Somebody wants it tried again now."""
        if self._offences.pop(model_id, None) is not None:
            self._conditions.model_set_aside.labels(model_id).set(0)
            await self._tell(Aside(model_id, "", 0.0))

    def over(self) -> list[str]:
        """The models whose time has passed since this was asked last."""
        ended = [name for name, offence in self._offences.items() if 0 < offence.until <= self._clock()]
        for name in ended:
            self._offences[name].until = 0.0
            self._conditions.model_set_aside.labels(name).set(0)
        return ended

    def __iter__(self) -> Iterator[Aside]:
        """What an engine that begins now has to know."""
        now = self._clock()
        for name, offence in self._offences.items():
            if offence.until > now:
                yield Aside(name, offence.version, offence.until - now)

    async def _tell(self, aside: Aside) -> None:
        """Tell all engines; one that does not listen is not waited for."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pool.set_aside(aside), TELLING_S)
