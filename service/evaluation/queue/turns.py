"""Whose evaluation is next: the client who had least of the evaluators' time, and of its evaluations the smallest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

FAIR_S = 300.0
"""What a client had of the evaluators' time longer ago than this is forgotten."""
PATIENT_S = 600.0
"""An evaluation that has waited for so long goes before its client's smaller ones."""


class Waiting(NamedTuple):
    """An evaluation that may be begun."""

    id: str
    client: str
    created: float
    upload_bytes: int


class Spell(NamedTuple):
    """A time in which an evaluator worked for a client; without an end it still does."""

    client: str
    started: float
    ended: float | None


def used_seconds(spells: Iterable[Spell], now: float) -> dict[str, float]:
    """How long the evaluators have worked for each client of late."""
    used: dict[str, float] = {}
    for client, started, ended in spells:
        lately = (now if ended is None else ended) - max(started, now - FAIR_S)
        used[client] = used.get(client, 0.0) + max(lately, 0.0)
    return used


def in_turn(waiting: Sequence[Waiting], used: Mapping[str, float], now: float) -> list[Waiting]:
    """The evaluations in the order in which they are to be begun, were nothing to come between."""

    def within_client(job: Waiting) -> tuple[int, float, float, str]:
        has_waited = now - job.created > PATIENT_S
        return (0, job.created, 0.0, job.id) if has_waited else (1, job.upload_bytes, job.created, job.id)

    first: dict[str, float] = {}
    for job in waiting:
        first[job.client] = min(first.get(job.client, job.created), job.created)

    def of_client(job: Waiting) -> tuple[float, float, str]:
        return used.get(job.client, 0.0), first[job.client], job.client

    return sorted(waiting, key=lambda job: (of_client(job), within_client(job)))
