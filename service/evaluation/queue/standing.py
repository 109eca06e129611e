"""How the queue of evaluations stands, and the scores that came out last: what a front tells Prometheus of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.evaluation.queue.database import EVALUATIONS
from service.evaluation.queue.jobs import JobKind, Jobs

SCORED = 20
"""So many finished evaluations are shown, the latest first."""
SENT = "sent"
"""The reference of an evaluation that brought its own."""
_COLUMNS = EVALUATIONS.c


@dataclass(frozen=True, slots=True)
class Crowd:
    """The evaluations of one status."""

    count: int
    oldest_s: float
    """Age of the one that has been so longest; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one finished evaluation measured, and against which reference."""

    reference: str
    values: Mapping[str, float]


class Standing:
    """Looks at the queue; a report is read once, however often its scores are asked for."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._read: dict[str, Scores] = {}

    def crowds(self) -> dict[str, Crowd]:
        """How many wait and how many are worked on here, and for how long. Raises DatabaseUnavailable.

        Services that share a database count each evaluation once, so that their numbers may be added.
        """
        since = {"queued": _COLUMNS.created, "running": _COLUMNS.started}
        now = time.time()
        with self._jobs.database.reading() as connection:
            found = {}
            for status, column in since.items():
                query = sa.select(sa.func.count(), sa.func.min(column)).where(_COLUMNS.status == status)
                count, oldest = connection.execute(query.where(self._jobs.counted)).one()
                found[status] = Crowd(count, 0.0 if oldest is None else max(0.0, now - oldest))
            return found

    def scores(self) -> list[Scores]:
        """The last finished evaluations', the latest first. Raises DatabaseUnavailable."""
        finished = sa.and_(_COLUMNS.status == "finished", _COLUMNS.kind == JobKind.EVALUATION)
        latest = sa.select(_COLUMNS.id).where(finished).order_by(_COLUMNS.ended.desc()).limit(SCORED)
        with self._jobs.database.reading() as connection:
            ids = list(connection.execute(latest).scalars())
            new = [name for name in ids if name not in self._read]
            query = sa.select(_COLUMNS.id, _COLUMNS.report).where(_COLUMNS.id.in_(new))
            read = {name: _scores(report or {}) for name, report in connection.execute(query)} if new else {}
        known = {**self._read, **read}
        self._read = {name: known[name] for name in ids if name in known}
        return list(self._read.values())


def _scores(report: Mapping[str, Any]) -> Scores:
    values = {name: entry["value"] for name, entry in report.get("metrics", {}).items()}
    return Scores((report.get("reference") or {}).get("name") or SENT, values)
