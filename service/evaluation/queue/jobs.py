"""Evaluations as rows of a database: accepted once, claimed by a lease, ended once."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from service.errors import EvaluationNotFound
from service.evaluation.queue.database import EVALUATIONS, Database
from service.evaluation.queue.workers import home_of
from service.settings import Settings

LEASE_S = 15.0
"""A claim that is not renewed for this long is another evaluator's to take."""
ATTEMPTS_LIMIT = 3

_COLUMNS = EVALUATIONS.c
_OVER = ("finished", "failed", "cancelled")
_OPEN = ("queued", "running")


class JobKind(StrEnum):
    """What a row ends in: a report, or a stored reference."""

    EVALUATION = "evaluation"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation, as its row stood when it was read."""

    id: str
    kind: str
    status: str
    """`queued`, `running`, `finished`, `failed` or `cancelled`."""
    request: Mapping[str, Any]
    created: float
    started: float | None
    ended: float | None
    attempt: int
    progress: float
    report: Mapping[str, Any] | None
    problem: Mapping[str, Any] | None
    key: str | None = None
    """The name of the key that asked for it; None for callers without one."""

    @property
    def is_over(self) -> bool:
        """Whether nothing about it changes any more."""
        return self.status in _OVER


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose evaluations are meant: those of a key, or of callers without one."""

    key: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What is kept of an evaluation that is over: since when, and how much."""

    id: str
    ended: float
    size_bytes: int


class Jobs:
    """The table of evaluations. Every method is one transaction; times are seconds since 1970.

    `home` is the state directory in which this process's uploads lie: only what lies there is claimed. Every method
    raises DatabaseUnavailable.
    """

    def __init__(self, database: Database, *, home: str = "") -> None:
        self._database = database
        self._home = home
        self._here = sa.or_(_COLUMNS.home == home, _COLUMNS.home.is_(None))  # rows of the first version name none

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The evaluations of these settings' database and state directory."""
        return cls(Database.of(settings), home=home_of(settings.state))

    def accept(
        self,
        job_id: str,
        request: Mapping[str, Any],
        kind: JobKind = JobKind.EVALUATION,
        *,
        key: str | None = None,
    ) -> None:
        """Add an evaluation to the queue, in the name of a key where there is one."""
        row = {"id": job_id, "kind": kind, "status": "queued", "request": dict(request), "home": self._home, "key": key}
        with self._database.writing() as connection:
            connection.execute(EVALUATIONS.insert().values(**row, created=time.time(), attempt=0, progress=0.0))

    def get(self, job_id: str, of: Owner | None = None) -> Job:
        """One evaluation, where it is this owner's. Raises EvaluationNotFound."""
        with self._database.reading() as connection:
            return _job(_found(connection, job_id, of))

    def latest(self, limit: int, of: Owner | None = None) -> list[Job]:
        """The evaluations accepted last, newest first: those of an owner, or all."""
        query = sa.select(EVALUATIONS).where(_is_of(of)).order_by(_COLUMNS.created.desc(), _COLUMNS.id).limit(limit)
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def waiting(self) -> int:
        """How many are accepted and not begun."""
        query = sa.select(sa.func.count()).where(_COLUMNS.status == "queued")
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def ids(self, *statuses: str) -> set[str]:
        """Every evaluation there is, or those of these statuses."""
        query = sa.select(_COLUMNS.id)
        with self._database.reading() as connection:
            return set(connection.execute(query.where(_COLUMNS.status.in_(statuses)) if statuses else query).scalars())

    def is_open(self, job_id: str) -> bool:
        """Whether there is still something to be done for an evaluation."""
        query = sa.select(_COLUMNS.status).where(_COLUMNS.id == job_id)
        with self._database.reading() as connection:
            return connection.execute(query).scalars().first() in _OPEN

    def finished_like(self, inputs_sha256: str, of: Owner | None = None) -> Mapping[str, Any] | None:
        """An owner's newest report whose numbers depend on the very same inputs."""
        same = sa.and_(_COLUMNS.inputs_sha256 == inputs_sha256, _COLUMNS.status == "finished", _is_of(of))
        query = sa.select(_COLUMNS.report).where(same).order_by(_COLUMNS.ended.desc()).limit(1)
        with self._database.reading() as connection:
            report: Mapping[str, Any] | None = connection.execute(query).scalars().first()
        return report

    def claim(self, owner: str) -> Job | None:
        """The oldest evaluation here that is queued or whose lease ran out, now `owner`'s; None when there is none.

        One that was claimed three times without coming to an end is failed instead.
        """
        now = time.time()
        abandoned = sa.and_(_COLUMNS.status == "running", _COLUMNS.lease_until < now)
        query = (
            sa.select(EVALUATIONS)
            .where(sa.or_(_COLUMNS.status == "queued", abandoned), self._here)
            .order_by(_COLUMNS.created, _COLUMNS.id)
            .limit(1)
        )
        with self._database.reading() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
            return None if row is None else _take(connection, row, owner, now)

    def holders(self) -> set[str]:
        """The names of those who work on an evaluation of this state directory."""
        query = sa.select(_COLUMNS.owner).where(_COLUMNS.status == "running", _COLUMNS.home == self._home)
        with self._database.reading() as connection:
            return {owner for owner in connection.execute(query).scalars() if owner}

    def release(self, owner: str) -> None:
        """End the leases of an evaluator that is known to be dead."""
        held = sa.and_(_COLUMNS.owner == owner, _COLUMNS.status == "running", _COLUMNS.home == self._home)
        with self._database.writing() as connection:
            connection.execute(sa.update(EVALUATIONS).where(held).values(lease_until=0.0))

    def renew(self, job: Job, owner: str, progress: float) -> bool:
        """Prolong a claim; False when it is no longer `owner`'s, or was cancelled."""
        return self._update_held(job, owner, lease_until=time.time() + LEASE_S, progress=progress)

    def finish(
        self, job: Job, owner: str, report: Mapping[str, Any], *, publish: Callable[[], object] | None = None
    ) -> bool:
        """Store the report; False, and nothing is stored, when the claim is no longer `owner`'s.

        `publish` makes visible what lies outside the database: it is called while the claim is held, and must be quick
        and harmless to repeat.
        """
        size = len(json.dumps(report))
        values = {"status": "finished", "report": dict(report), "progress": 1.0, "size_bytes": size}
        inputs = report.get("inputs_sha256")
        return self._update_held(job, owner, publish, **values, ended=time.time(), inputs_sha256=inputs, owner=None)

    def fail(self, job: Job, owner: str, problem: Mapping[str, Any]) -> bool:
        """Store why there is no report; False when the claim is no longer `owner`'s."""
        return self._update_held(job, owner, status="failed", ended=time.time(), problem=dict(problem), owner=None)

    def give_back(self, job: Job, owner: str) -> bool:
        """Queue an evaluation again as if it had not been begun: the evaluator is told to stop."""
        return self._update_held(job, owner, status="queued", owner=None, attempt=job.attempt - 1, progress=0.0)

    def _update_held(
        self, job: Job, holder: str, publish: Callable[[], object] | None = None, /, **values: object
    ) -> bool:
        held = sa.and_(
            _COLUMNS.id == job.id,
            _COLUMNS.status == "running",
            _COLUMNS.owner == holder,
            _COLUMNS.attempt == job.attempt,
        )
        with self._database.writing() as connection:
            is_held = connection.execute(sa.update(EVALUATIONS).where(held).values(**values)).rowcount == 1
            if is_held and publish is not None:
                publish()
            return is_held

    def remove(self, job_id: str, of: Owner | None = None) -> str:
        """Cancel an owner's evaluation that is not over, remove one that is; says what it was.

        Raises EvaluationNotFound.
        """
        with self._database.writing() as connection:
            row = _found(connection, job_id, of, for_update=True)
            if row["status"] in _OVER:
                connection.execute(sa.delete(EVALUATIONS).where(_COLUMNS.id == job_id))
            else:
                values = {"status": "cancelled", "ended": time.time(), "owner": None}
                connection.execute(sa.update(EVALUATIONS).where(_COLUMNS.id == job_id).values(**values))
            return str(row["status"])

    def over(self) -> list[Ended]:
        """The evaluations that are over, the one that ended last first."""
        columns = (_COLUMNS.id, _COLUMNS.ended, _COLUMNS.size_bytes)
        query = sa.select(*columns).where(_COLUMNS.status.in_(_OVER)).order_by(_COLUMNS.ended.desc(), _COLUMNS.id)
        with self._database.reading() as connection:
            return [Ended(row.id, row.ended or 0.0, row.size_bytes) for row in connection.execute(query)]

    def forget(self, job_ids: Collection[str]) -> None:
        """Delete evaluations that are over."""
        with self._database.writing() as connection:
            for job_id in job_ids:
                these = sa.and_(_COLUMNS.id == job_id, _COLUMNS.status.in_(_OVER))
                connection.execute(sa.delete(EVALUATIONS).where(these))


def _is_of(owner: Owner | None) -> sa.ColumnElement[bool]:
    return sa.true() if owner is None else _COLUMNS.key.is_not_distinct_from(owner.key)


def _found(connection: Connection, job_id: str, of: Owner | None, *, for_update: bool = False) -> RowMapping:
    query = sa.select(EVALUATIONS).where(_COLUMNS.id == job_id, _is_of(of))
    row = connection.execute(query.with_for_update() if for_update else query).mappings().first()
    if row is None:
        raise EvaluationNotFound(f"There is no evaluation {job_id[:100]!r}; GET /evaluations lists them.")
    return row


def _take(connection: Connection, row: RowMapping, owner: str, now: float) -> Job | None:
    """Make a locked row `owner`'s, or fail it where it has been begun too often."""
    this = sa.update(EVALUATIONS).where(_COLUMNS.id == row["id"])
    if row["attempt"] >= ATTEMPTS_LIMIT:
        reason = f"The evaluator died {ATTEMPTS_LIMIT} times while it worked on this."
        problem = {"type": "about:blank", "title": "The evaluation failed", "status": 500, "detail": reason}
        connection.execute(this.values(status="failed", ended=now, problem=problem, owner=None))
        return None
    taken = {"status": "running", "started": now, "attempt": row["attempt"] + 1, "progress": 0.0}
    connection.execute(this.values(**taken, owner=owner, lease_until=now + LEASE_S))
    return _job({**row, **taken})


def _job(row: Mapping[str, Any] | RowMapping) -> Job:
    return Job(**{name: row[name] for name in Job.__slots__})
