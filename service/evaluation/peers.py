"""The engines of other services, for as long as there is an evaluation to work on: they are found in the database."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from service.errors import DatabaseUnavailable
from service.evaluation.queue.homes import engines_elsewhere
from service.evaluation.queue.jobs import Jobs
from service.runtime.duties import Duty, duty_of, number_of
from service.runtime.peers import Address, Meeting
from service.runtime.pool import EnginePool
from service.settings import Settings

log = logging.getLogger(__name__)

LOOK_S = 15.0
"""How often somebody who works looks for services that have come."""


class Alone:
    """A service whose evaluations are done by its own engines."""

    own: Sequence[str] = ()
    """Where its engines are reached by others."""

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Nobody."""
        yield


class Peers(Alone):
    """Services that share a PostgreSQL and a secret, whose engines help each other with evaluations."""

    def __init__(self, meeting: Meeting, jobs: Jobs, engines: EnginePool, sockets: Sequence[Path]) -> None:
        self._secret = meeting.secret
        self._jobs = jobs
        self._engines = engines
        self._working = 0
        self._looking: asyncio.Task[None] | None = None
        general = [number_of(path) for path in sockets if duty_of(path) is not Duty.FORECASTS]
        self.own = [str(meeting.address_of(number)) for number in general]

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Have the engines of other services take their part meanwhile."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                looking, self._looking = self._looking, None
                looking.cancel()
                self._engines.reach((), self._secret)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                told = await asyncio.to_thread(engines_elsewhere, self._jobs)
                self._engines.reach([*_read(told)], self._secret)
            await asyncio.sleep(LOOK_S)


def _read(told: Sequence[str]) -> Sequence[Address]:
    """The addresses that these words are."""
    found = []
    for word in told:
        try:
            found.append(Address.read(word))
        except ValueError as error:
            log.warning("the engine of another service is not reached: %s", error)
    return found


def peers_of(settings: Settings, jobs: Jobs, engines: EnginePool, sockets: Sequence[Path]) -> Alone:
    """Those that the settings let in. Raises ConfigurationError."""
    meeting = Meeting.of(settings)
    if meeting is None or settings.devices == "ray":  # whose cluster all of its services share as it is
        return Alone()
    return Peers(meeting, jobs, engines, sockets)
