"""Evaluations as rows of a database: accepted once, claimed by a lease, ended once."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.pool import NullPool

from service.errors import EvaluationNotFound

LEASE_S = 15.0
"""A claim that is not renewed for this long is another evaluator's to take."""
ATTEMPTS_LIMIT = 3

_METADATA = sa.MetaData()
_EVALUATIONS = sa.Table(
    "evaluations",
    _METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False, index=True),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("report", sa.JSON),
    sa.Column("problem", sa.JSON),
)
_COLUMNS = _EVALUATIONS.c


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation, as its row stood when it was read."""

    id: str
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

    @property
    def is_over(self) -> bool:
        """Whether nothing about it changes any more."""
        return self.status in ("finished", "failed", "cancelled")


class Jobs:
    """The table of evaluations. Every method is one transaction; times are seconds since 1970."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30.0})
        sa.event.listen(self._engine, "connect", _prepare_connection)
        with self._transaction() as connection:
            _METADATA.create_all(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction that takes the write lock at once, so that what it read stays true."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def accept(self, job_id: str, request: Mapping[str, Any]) -> None:
        """Add an evaluation to the queue."""
        with self._transaction() as connection:
            connection.execute(
                _EVALUATIONS.insert().values(
                    id=job_id, status="queued", request=dict(request), created=time.time(), attempt=0, progress=0.0
                )
            )

    def get(self, job_id: str) -> Job:
        """One evaluation. Raises EvaluationNotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_EVALUATIONS).where(_COLUMNS.id == job_id)).mappings().first()
        if row is None:
            raise EvaluationNotFound(f"There is no evaluation {job_id!r}; GET /evaluations lists them.")
        return _job(row)

    def latest(self, limit: int) -> list[Job]:
        """The evaluations accepted last, newest first."""
        query = sa.select(_EVALUATIONS).order_by(_COLUMNS.created.desc(), _COLUMNS.id).limit(limit)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def waiting(self) -> int:
        """How many are accepted and not begun."""
        query = sa.select(sa.func.count()).where(_COLUMNS.status == "queued")
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def ids(self) -> set[str]:
        """Every evaluation there is."""
        with self._engine.connect() as connection:
            return set(connection.execute(sa.select(_COLUMNS.id)).scalars())

    def claim(self, owner: str) -> Job | None:
        """The oldest evaluation that is queued or whose lease ran out, now `owner`'s; None when there is none.

        One that was claimed three times without coming to an end is failed instead.
        """
        now = time.time()
        abandoned = sa.and_(_COLUMNS.status == "running", _COLUMNS.lease_until < now)
        query = (
            sa.select(_EVALUATIONS)
            .where(sa.or_(_COLUMNS.status == "queued", abandoned))
            .order_by(_COLUMNS.created, _COLUMNS.id)
            .limit(1)
        )
        with self._engine.connect() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._transaction() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            this = sa.update(_EVALUATIONS).where(_COLUMNS.id == row["id"])
            if row["attempt"] >= ATTEMPTS_LIMIT:
                reason = f"The evaluator died {ATTEMPTS_LIMIT} times while it worked on this."
                problem = {"type": "about:blank", "title": "The evaluation failed", "status": 500, "detail": reason}
                connection.execute(this.values(status="failed", ended=now, problem=problem, owner=None))
                return None
            connection.execute(
                this.values(
                    status="running",
                    owner=owner,
                    started=now,
                    lease_until=now + LEASE_S,
                    attempt=row["attempt"] + 1,
                    progress=0.0,
                )
            )
            return _job({**row, "status": "running", "attempt": row["attempt"] + 1, "started": now})

    def renew(self, job: Job, owner: str, progress: float) -> bool:
        """Prolong a claim; False when it is no longer `owner`'s, or was cancelled."""
        return self._update_held(job, owner, lease_until=time.time() + LEASE_S, progress=progress)

    def finish(self, job: Job, owner: str, report: Mapping[str, Any]) -> bool:
        """Put in the report; False, and nothing is written, when the claim is no longer `owner`'s."""
        return self._update_held(
            job, owner, status="finished", ended=time.time(), report=dict(report), progress=1.0, owner=None
        )

    def fail(self, job: Job, owner: str, problem: Mapping[str, Any]) -> bool:
        """Put in why there is no report; False when the claim is no longer `owner`'s."""
        return self._update_held(job, owner, status="failed", ended=time.time(), problem=dict(problem), owner=None)

    def give_back(self, job: Job, owner: str) -> bool:
        """Queue an evaluation again as if it had not been begun: the evaluator is told to stop."""
        return self._update_held(job, owner, status="queued", owner=None, attempt=job.attempt - 1, progress=0.0)

    def _update_held(self, job: Job, holder: str, **values: object) -> bool:
        held = sa.and_(
            _COLUMNS.id == job.id,
            _COLUMNS.status == "running",
            _COLUMNS.owner == holder,
            _COLUMNS.attempt == job.attempt,
        )
        with self._transaction() as connection:
            return connection.execute(sa.update(_EVALUATIONS).where(held).values(**values)).rowcount == 1

    def remove(self, job_id: str) -> str:
        """Cancel an evaluation that is not over, remove one that is; says which. Raises EvaluationNotFound."""
        with self._transaction() as connection:
            row = connection.execute(sa.select(_EVALUATIONS).where(_COLUMNS.id == job_id)).mappings().first()
            if row is None:
                raise EvaluationNotFound(f"There is no evaluation {job_id!r}; GET /evaluations lists them.")
            if _job(row).is_over:
                connection.execute(sa.delete(_EVALUATIONS).where(_COLUMNS.id == job_id))
                return "removed"
            values = {"status": "cancelled", "ended": time.time(), "owner": None}
            connection.execute(sa.update(_EVALUATIONS).where(_COLUMNS.id == job_id).values(**values))
            return "cancelled"


def _prepare_connection(connection: Any, _record: object) -> None:
    """Readers beside a writer, a report on disk before it is answered, transactions begun by us."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _job(row: Mapping[str, Any] | RowMapping) -> Job:
    return Job(**{name: row[name] for name in Job.__slots__})
