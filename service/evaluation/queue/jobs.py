"""Evaluations as rows of a database: accepted once, claimed by a lease, ended once."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from service.errors import EvaluationNotFound
from service.evaluation.queue.changes import Change, Changes
from service.evaluation.queue.database import BUSY_S, CHANNEL, EVALUATIONS, Database
from service.evaluation.queue.limits import Limits, check_room
from service.evaluation.queue.turns import FAIR_S, Spell, Waiting, in_turn, used_seconds
from service.evaluation.queue.workers import home_of
from service.settings import Settings
from service.storage.opening import shared_name

LEASE_S = 15.0
"""A claim that is not renewed for this long is another evaluator's to take."""
ATTEMPTS_LIMIT = 3

REQUEST_ID = "request_id"
"""Under this a row's request holds the id of the HTTP request that brought it."""
_COLUMNS = EVALUATIONS.c
_OVER = ("finished", "failed", "cancelled")
OPEN = ("queued", "running")
"""The statuses of an evaluation for which there is something to be done."""


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
    client: str
    """Who sent it, as the limits count clients."""
    key: str | None = None
    """The name of the key that asked for it; None for callers without one."""

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked, without the id under which it was."""
        return {name: value for name, value in self.request.items() if name != REQUEST_ID}

    @property
    def request_id(self) -> str:
        """The id of the HTTP request that brought it; empty for one of an earlier version."""
        return str(self.request.get(REQUEST_ID, ""))

    @property
    def is_over(self) -> bool:
        """Whether nothing about it changes any more."""
        return self.status in _OVER


class Stage(NamedTuple):
    """How far an evaluation is: what those who wait for it look at again and again."""

    status: str
    attempt: int
    progress: float


class Glance(NamedTuple):
    """Whether there may be something to do here."""

    holders: set[str]
    """Who works on an evaluation of this state directory."""
    waiting: int
    """How many of this state directory are accepted and not begun."""
    is_work: bool
    """Whether there is one that may be claimed here."""


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
    figures_bytes: int | None
    """What its figures take; None for those of earlier versions, which did not say."""


class Jobs:
    """The table of evaluations. Every method is one transaction; times are seconds since 1970.

    `home` is the state directory of this process: what is counted here, and what was uploaded onto its disk, has its
    name. `storage` is where it puts uploads that other services read as well; without one, only what lies on its own
    disk is claimed. What is written is told by `changes`. Every method raises DatabaseUnavailable.
    """

    def __init__(self, database: Database, *, home: str = "", storage: str = "") -> None:
        self.database = database
        self.home = home
        self.storage = storage
        self.changes = Changes()
        self.counted = sa.or_(_COLUMNS.home == home, _COLUMNS.home.is_(None))  # rows of the first version name none
        self._on_disk = sa.and_(self.counted, _COLUMNS.storage == "")
        self._here = sa.or_(self._on_disk, _COLUMNS.storage == storage) if storage else self._on_disk

    @classmethod
    def of(cls, settings: Settings, *, busy_s: float = BUSY_S, kept: int = 0) -> Self:
        """The evaluations of these settings' database and state directory."""
        database = Database.of(settings, busy_s=busy_s, kept=kept)
        return cls(database, home=home_of(settings.state), storage=shared_name(settings.storage_url))

    def probe(self) -> None:
        """Read a little, and see whether writing would be allowed."""
        with self.database.writing() as connection:
            connection.execute(sa.select(_COLUMNS.id).limit(1)).first()

    def accept(
        self,
        job_id: str,
        request: Mapping[str, Any],
        kind: JobKind = JobKind.EVALUATION,
        *,
        client: str = "",
        key: str | None = None,
        upload_bytes: int = 0,
        limits: Limits | None = None,
    ) -> None:
        """Add an evaluation to the queue, in a key's name where there is one.

        Raises Overloaded where as many wait as may.
        """
        new = {"kind": kind, "status": "queued", "created": time.time(), "attempt": 0, "progress": 0.0}
        sent = {"request": dict(request), "client": client, "upload_bytes": upload_bytes, "key": key}
        place = {"home": self.home, "storage": self.storage}
        with self.changing() as (connection, changed):
            if limits is not None:
                self.database.lock_queue(connection)
                check_room(connection, self._here, client, limits, upload_bytes)
            connection.execute(EVALUATIONS.insert().values(id=job_id, **new, **sent, **place))
            changed(Change(job_id, "queued"))

    def check_room(self, client: str, limits: Limits) -> None:
        """Raise Overloaded where as many evaluations wait as may, before an upload is received for another one."""
        with self.database.reading() as connection:
            check_room(connection, self._here, client, limits)

    @contextmanager
    def changing(self) -> Iterator[tuple[Connection, Callable[[Change], None]]]:
        """A transaction, and what is told when it has been committed: to other machines by the database itself."""
        changes: list[Change] = []
        with self.database.writing() as connection:
            yield connection, changes.append
            for change in changes if not self.database.is_sqlite else ():
                connection.execute(sa.select(sa.func.pg_notify(CHANNEL, json.dumps(change))))
        for change in changes:
            self.changes.tell(change)

    def get(self, job_id: str, of: Owner | None = None) -> Job:
        """One evaluation, where it is this owner's. Raises EvaluationNotFound."""
        with self.database.reading() as connection:
            return _job(_found(connection, job_id, of))

    def latest(self, limit: int, of: Owner | None = None) -> list[Job]:
        """The evaluations accepted last, newest first: an owner's, or all; without their reports, which are large."""
        columns = [column for column in _COLUMNS if column is not _COLUMNS.report]
        query = sa.select(*columns, sa.null().label("report"))
        query = query.where(_is_of(of)).order_by(_COLUMNS.created.desc(), _COLUMNS.id).limit(limit)
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def stages(self, job_ids: Collection[str]) -> dict[str, Stage]:
        """How far those of these evaluations are that there are."""
        columns = (_COLUMNS.id, _COLUMNS.status, _COLUMNS.attempt, _COLUMNS.progress)
        query = sa.select(*columns).where(_COLUMNS.id.in_(job_ids))
        with self.database.reading() as connection:
            return {name: Stage(*stage) for name, *stage in connection.execute(query)}

    def glance(self) -> Glance:
        """Who works here, how many wait, and whether there is something to begin."""
        query = sa.select(_COLUMNS.owner).where(_COLUMNS.status == "running", _COLUMNS.home == self.home)
        waiting = sa.select(sa.func.count()).where(_COLUMNS.status == "queued", self.counted)
        with self.database.reading() as connection:
            holders = {owner for owner in connection.execute(query).scalars() if owner}
            is_work = bool(self._claimable(connection, time.time(), most=1))
            return Glance(holders, connection.execute(waiting).scalar_one(), is_work)

    def ids(self, *statuses: str) -> set[str]:
        """Every evaluation there is, or those of these statuses."""
        query = sa.select(_COLUMNS.id)
        with self.database.reading() as connection:
            return set(connection.execute(query.where(_COLUMNS.status.in_(statuses)) if statuses else query).scalars())

    def open_here(self) -> list[Job]:
        """The evaluations that are not over and whose uploads lie in this state directory."""
        query = sa.select(EVALUATIONS).where(_COLUMNS.status.in_(OPEN), self._on_disk)
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def is_open(self, job_id: str) -> bool:
        """Whether there is still something to be done for an evaluation."""
        query = sa.select(_COLUMNS.status).where(_COLUMNS.id == job_id)
        with self.database.reading() as connection:
            return connection.execute(query).scalars().first() in OPEN

    def finished_like(self, inputs_sha256: str, of: Owner | None = None) -> Mapping[str, Any] | None:
        """An owner's newest report whose numbers depend on the very same inputs."""
        same = sa.and_(_COLUMNS.inputs_sha256 == inputs_sha256, _COLUMNS.status == "finished", _is_of(of))
        query = sa.select(_COLUMNS.report).where(same).order_by(_COLUMNS.ended.desc()).limit(1)
        with self.database.reading() as connection:
            report: Mapping[str, Any] | None = connection.execute(query).scalars().first()
        return report

    def claim(self, owner: str, *, abandoned: bool = True) -> Job | None:
        """The evaluation here whose turn it is, now `owner`'s; None when none is queued and no lease ran out.

        Without `abandoned`, leases that ran out are left to their owners. One that was claimed three times without
        coming to an end is failed instead.
        """
        now = time.time()
        lapsed = now if abandoned else 0.0
        with self.changing() as (connection, changed):
            for waiting in in_turn(self._claimable(connection, lapsed), self._used(connection, now), now):
                query = sa.select(EVALUATIONS).where(_COLUMNS.id == waiting.id, _may_be_claimed(lapsed))
                row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
                if row is not None and (job := _take(connection, row, self.home, owner, changed)) is not None:
                    return job
        return None

    def _claimable(self, connection: Connection, lapsed: float, *, most: int | None = None) -> list[Waiting]:
        columns = (_COLUMNS.id, _COLUMNS.client, _COLUMNS.created, _COLUMNS.upload_bytes)
        query = sa.select(*columns).where(_may_be_claimed(lapsed), self._here).limit(most)
        return [Waiting(*row) for row in connection.execute(query)]

    def _used(self, connection: Connection, now: float) -> dict[str, float]:
        columns = (_COLUMNS.client, _COLUMNS.started, _COLUMNS.ended)
        running = sa.and_(_COLUMNS.status == "running", _COLUMNS.lease_until >= now)
        lately = sa.or_(running, _COLUMNS.ended > now - FAIR_S)
        query = sa.select(*columns).where(lately, _COLUMNS.started.is_not(None), self._here)
        return used_seconds([Spell(*row) for row in connection.execute(query)], now)

    def release(self, owner: str) -> None:
        """End the leases of an evaluator that is known to be dead."""
        held = sa.and_(_COLUMNS.owner == owner, _COLUMNS.status == "running", _COLUMNS.home == self.home)
        with self.changing() as (connection, changed):
            if connection.execute(sa.update(EVALUATIONS).where(held).values(lease_until=0.0)).rowcount:
                changed(Change())

    def renew(self, job: Job, owner: str, progress: float) -> bool:
        """Prolong a claim; False when it is no longer `owner`'s, or was cancelled."""
        return self._update_held(job, owner, lease_until=time.time() + LEASE_S, progress=progress)

    def finish(
        self,
        job: Job,
        owner: str,
        report: Mapping[str, Any],
        *,
        publish: Callable[[], object] | None = None,
        figures_bytes: int | None = None,
    ) -> bool:
        """Store the report; False, and nothing is stored, when the claim is no longer `owner`'s.

        `figures_bytes` are what was kept beside it. `publish` makes visible what lies outside the database: it is
        called while the claim is held, and must be quick and harmless to repeat.
        """
        size = len(json.dumps(report))
        sizes = {"size_bytes": size, "figures_bytes": figures_bytes}
        values = {"status": "finished", "report": dict(report), "progress": 1.0, **sizes}
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
        with self.changing() as (connection, changed):
            is_held = connection.execute(sa.update(EVALUATIONS).where(held).values(**values)).rowcount == 1
            if is_held and publish is not None:
                publish()
            status = str(values.get("status", "running"))
            if is_held and (status != "running" or values.get("progress") != job.progress):
                changed(Change(job.id, status))
            return is_held

    def remove(self, job_id: str, of: Owner | None = None) -> str:
        """Cancel an owner's evaluation that is not over, remove one that is; says what it was.

        Raises EvaluationNotFound.
        """
        with self.changing() as (connection, changed):
            row = _found(connection, job_id, of, for_update=True)
            if row["status"] in _OVER:
                connection.execute(sa.delete(EVALUATIONS).where(_COLUMNS.id == job_id))
            else:
                values = {"status": "cancelled", "ended": time.time(), "owner": None}
                connection.execute(sa.update(EVALUATIONS).where(_COLUMNS.id == job_id).values(**values))
            changed(Change(job_id, "cancelled"))
            return str(row["status"])

    def over(self) -> list[Ended]:
        """The evaluations that are over, the one that ended last first."""
        columns = (_COLUMNS.id, _COLUMNS.ended, _COLUMNS.size_bytes, _COLUMNS.figures_bytes)
        query = sa.select(*columns).where(_COLUMNS.status.in_(_OVER)).order_by(_COLUMNS.ended.desc(), _COLUMNS.id)
        with self.database.reading() as connection:
            return [Ended(row[0], row[1] or 0.0, *row[2:]) for row in connection.execute(query)]

    def forget(self, job_ids: Collection[str]) -> None:
        """Delete evaluations that are over."""
        with self.database.writing() as connection:
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


def _may_be_claimed(lapsed: float) -> sa.ColumnElement[bool]:
    abandoned = sa.and_(_COLUMNS.status == "running", _COLUMNS.lease_until < lapsed)
    return sa.or_(_COLUMNS.status == "queued", abandoned)


def _take(
    connection: Connection, row: RowMapping, home: str, owner: str, changed: Callable[[Change], None]
) -> Job | None:
    """Make a locked row `owner`'s and this home's, or fail it where it has been begun too often."""
    now = time.time()
    this = sa.update(EVALUATIONS).where(_COLUMNS.id == row["id"])
    if row["attempt"] >= ATTEMPTS_LIMIT:
        reason = f"The evaluator died {ATTEMPTS_LIMIT} times while it worked on this."
        problem = {"type": "about:blank", "title": "The evaluation failed", "status": 500, "detail": reason}
        connection.execute(this.values(status="failed", ended=now, problem=problem, owner=None))
        changed(Change(row["id"], "failed"))
        return None
    taken = {"status": "running", "started": now, "attempt": row["attempt"] + 1, "progress": 0.0}
    connection.execute(this.values(**taken, home=home, owner=owner, lease_until=now + LEASE_S))
    changed(Change(row["id"], "running"))
    return _job({**row, **taken})


def _job(row: Mapping[str, Any] | RowMapping) -> Job:
    return Job(**{name: row[name] for name in Job.__slots__})
