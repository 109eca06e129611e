"""How many evaluations may wait, of one client and of all, and when there will be room for another."""

import math
import time
from typing import NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from service.errors import Overloaded
from service.evaluation.queue.database import EVALUATIONS
from service.settings import Settings

LAST = 32
"""The evaluations that ended last, so many of them, tell the speed of the next."""
LEAST_S, MOST_S = 1, 3600
"""Bounds of what a refused client is told to wait."""

_COLUMNS = EVALUATIONS.c


class Limits(NamedTuple):
    """The most that may wait, and how many are worked on at a time."""

    a_client: int
    in_all: int
    evaluators: int
    upload_bytes: int | None = None
    """What uploads in a storage that services share may take; on a disk, what lies there is counted."""
    client_share: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What an operator has set."""
        counted = (settings.evaluations_limit_per_client, settings.evaluations_limit, settings.evaluators)
        shared = settings.uploads_disk_bytes if settings.storage_url else None
        return cls(*counted, shared, settings.client_share)


def check_room(
    connection: Connection, here: sa.ColumnElement[bool], client: str, limits: Limits, more_bytes: int = 0
) -> None:
    """Raise Overloaded where as many evaluations wait `here` as may, or their uploads take too much with these."""
    if limits.upload_bytes is not None:
        _check_bytes(connection, here, client, limits.upload_bytes, limits.client_share, more_bytes)
    counted = sa.select(_COLUMNS.client, sa.func.count()).where(_COLUMNS.status == "queued", here)
    waiting = {row[0]: row[1] for row in connection.execute(counted.group_by(_COLUMNS.client))}
    mine, everybodys = waiting.get(client, 0), sum(waiting.values())
    if mine >= limits.a_client:
        refusal = Overloaded(f"{mine} of this client's evaluations wait already, and no more may.")
        turns = len(waiting)  # the clients take turns, so one of this client's is begun when so many have been
    elif everybodys >= limits.in_all:
        refusal, turns = Overloaded(f"{everybodys} evaluations wait already, and no more may."), 1
    else:
        return
    wait_s = turns * _seconds_each(connection, here) / max(limits.evaluators, _working(connection, here))
    refusal.retry_after_s = min(max(math.ceil(wait_s), LEAST_S), MOST_S)
    raise refusal


def _check_bytes(
    connection: Connection, here: sa.ColumnElement[bool], client: str, limit: int, share: float, more: int
) -> None:
    taken = sa.select(_COLUMNS.client, sa.func.sum(_COLUMNS.upload_bytes)).where(_COLUMNS.ended.is_(None), here)
    held = {row[0]: int(row[1]) for row in connection.execute(taken.group_by(_COLUMNS.client))}
    if held.get(client, 0) + more > limit * share or sum(held.values()) + more > limit:
        raise Overloaded(
            f"Uploads that wait or are worked on may take {limit:,} bytes of the storage, and each client's a part of "
            "that; this one is too much."
        )


def _working(connection: Connection, here: sa.ColumnElement[bool]) -> int:
    """How many are worked on now: where several services share a storage, more than one of them would do."""
    running = sa.select(sa.func.count()).where(_COLUMNS.status == "running", here)
    return int(connection.execute(running).scalar_one())


def _seconds_each(connection: Connection, here: sa.ColumnElement[bool]) -> float:
    """How long an evaluation takes: those of late on average, or those at work where they have taken longer."""
    begun = sa.and_(_COLUMNS.started.is_not(None), here)
    done = sa.select(_COLUMNS.started, _COLUMNS.ended).where(begun, _COLUMNS.ended.is_not(None))
    spans = [ended - started for started, ended in connection.execute(done.order_by(_COLUMNS.ended.desc()).limit(LAST))]
    running = sa.select(_COLUMNS.started).where(begun, _COLUMNS.status == "running")
    so_far = [time.time() - started for started in connection.execute(running).scalars()]
    return max(_mean(spans), _mean(so_far))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
