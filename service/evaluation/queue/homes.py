"""The services that share a database: each tells that it lives, and one looks after what those left that do not."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from service.evaluation.queue.changes import Change
from service.evaluation.queue.database import EVALUATIONS, HOMES
from service.evaluation.queue.jobs import OPEN, Jobs

log = logging.getLogger(__name__)

SILENT_S = 60.0
"""A service that has not been heard of for so long works on nothing."""
LISTED_S = 600.0
"""Engines of a service that has told nothing for so long are not looked for."""
FORGOTTEN_S = 86400.0
"""For so long a service is remembered that left nothing to do."""

_COLUMNS = EVALUATIONS.c


class Heard(NamedTuple):
    """What a service told last, and when that came here by this process's own clock."""

    told: float
    at: float


class Homes:
    """The state directories whose services share a PostgreSQL; a SQLite file is one service's alone.

    Clocks of different machines are never compared: a home is silent while what it told stays the same, as long as this
    process has looked without a break. `engines` is where those of this one are reached by others, in words.
    """

    def __init__(
        self, jobs: Jobs, *, limit_s: float, engines: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._engines = " ".join(engines)
        self._limit_s = limit_s
        self._clock = clock
        self._heard: dict[str, Heard] = {}
        self._looked = clock()

    def beat(self) -> None:
        """Tell that the services of this state directory live. Raises DatabaseUnavailable."""
        if self._jobs.database.is_sqlite:
            return
        with self._jobs.database.writing() as connection:
            mine = sa.update(HOMES).where(HOMES.c.id == self._jobs.home)
            told = {"seen": time.time(), "engines": self._engines}
            if not connection.execute(mine.values(told)).rowcount:
                connection.execute(HOMES.insert().values(id=self._jobs.home, **told))

    def look(self) -> None:
        """Take up what silent services have left; one process does so at a time. Raises DatabaseUnavailable.

        What lies in a storage that is shared becomes this service's own to count, and anybody's to work on. What lies
        only where the silent one kept it is queued until that comes back, and fails when it stays away for too long.
        """
        if self._jobs.database.is_sqlite:
            return
        with self._jobs.changing() as (connection, changed):
            silent = self._silent(connection)
            self._adopt(connection, silent.keys())
            self._tell(connection, silent.keys(), changed)
            lost = [home for home, silent_s in silent.items() if silent_s > self._limit_s]
            self._give_up(connection, lost, changed)
            if _has_lapsed(connection):
                changed(Change())  # whoever may claim it looks
            _forget(connection)

    def _silent(self, connection: Connection) -> dict[str, float]:
        """The other services that have been silent for long, with for how long."""
        now = self._clock()
        if now - self._looked > SILENT_S:
            self._heard.clear()  # the database was away, or this process slept: nobody could be heard meanwhile
        self._looked = now
        rows = connection.execute(sa.select(HOMES.c.id, HOMES.c.seen))
        told = _leases(connection) | {row[0]: row[1] for row in rows}
        self._heard = {
            home: known if (known := self._heard.get(home)) is not None and known.told == seen else Heard(seen, now)
            for home, seen in told.items()
            if home != self._jobs.home
        }
        return {home: now - heard.at for home, heard in self._heard.items() if now - heard.at > SILENT_S}

    def _adopt(self, connection: Connection, silent: Collection[str]) -> None:
        """Count as this service's what waits where it can be read."""
        if self._jobs.storage and silent:
            theirs = sa.and_(_COLUMNS.home.in_(silent), _COLUMNS.storage == self._jobs.storage)
            waiting = sa.update(EVALUATIONS).where(theirs, _COLUMNS.status == "queued")
            connection.execute(waiting.values(home=self._jobs.home))

    def _tell(self, connection: Connection, silent: Collection[str], changed: Callable[[Change], None]) -> None:
        """Let nobody believe that what died with its service is worked on."""
        held = sa.and_(_at(silent), _COLUMNS.status == "running", _COLUMNS.lease_until < time.time())
        for job_id, home in connection.execute(sa.select(_COLUMNS.id, _COLUMNS.home).where(held)).all():
            this = sa.update(EVALUATIONS).where(_COLUMNS.id == job_id, held)
            if connection.execute(this.values(status="queued", owner=None, progress=0.0)).rowcount:
                log.warning("evaluation %s waits for the service of the state directory %s to come back", job_id, home)
                changed(Change(job_id, "queued"))

    def _give_up(self, connection: Connection, lost: Collection[str], changed: Callable[[Change], None]) -> None:
        """Fail what nobody will be able to read."""
        waiting = sa.and_(_at(lost), _COLUMNS.status == "queued")
        problem = {
            "type": "about:blank",
            "title": "The service that had the upload is gone",
            "status": 503,
            "detail": f"The upload lies with a service that has been silent for {self._limit_s:.0f} s. Send it again.",
        }
        for job_id in connection.execute(sa.select(_COLUMNS.id).where(waiting)).scalars().all():
            this = sa.update(EVALUATIONS).where(_COLUMNS.id == job_id, waiting)
            if connection.execute(this.values(status="failed", ended=time.time(), problem=problem)).rowcount:
                log.warning("evaluation %s has failed: the service that had its upload stays away", job_id)
                changed(Change(job_id, "failed"))


def engines_elsewhere(jobs: Jobs) -> list[str]:
    """Where the engines of other services are reached, as far as these have told lately. Raises DatabaseUnavailable.

    Clocks may differ by less than `LISTED_S`, and who is listed need not live.
    """
    with jobs.database.reading() as connection:
        last = sa.select(sa.func.max(HOMES.c.seen)).scalar_subquery()
        lately = sa.and_(HOMES.c.id != jobs.home, HOMES.c.seen > last - LISTED_S)
        return [
            word
            for told in connection.execute(sa.select(HOMES.c.engines).where(lately)).scalars()
            for word in told.split()
        ]


def _at(homes: Collection[str]) -> sa.ColumnElement[bool]:
    """What lies on the disks of these services."""
    return sa.and_(_COLUMNS.home.in_(homes), _COLUMNS.storage == "")


def _has_lapsed(connection: Connection) -> bool:
    """Whether somebody has stopped renewing a claim."""
    held = sa.and_(_COLUMNS.status == "running", _COLUMNS.lease_until < time.time())
    return connection.execute(sa.select(_COLUMNS.id).where(held).limit(1)).first() is not None


def _leases(connection: Connection) -> dict[str, float]:
    """The homes of what is still to be done, with the longest lease of each: older versions tell nothing else."""
    lease = sa.func.max(sa.func.coalesce(_COLUMNS.lease_until, 0.0))
    query = sa.select(_COLUMNS.home, lease).where(_COLUMNS.status.in_(OPEN), _COLUMNS.home.is_not(None))
    return {row[0]: row[1] for row in connection.execute(query.group_by(_COLUMNS.home))}


def _forget(connection: Connection) -> None:
    """Remember no service that has long been silent and left nothing to do."""
    needed = sa.select(_COLUMNS.home).where(_COLUMNS.status.in_(OPEN), _COLUMNS.home.is_not(None))
    gone = sa.and_(HOMES.c.seen < time.time() - FORGOTTEN_S, HOMES.c.id.not_in(needed))
    connection.execute(sa.delete(HOMES).where(gone))
