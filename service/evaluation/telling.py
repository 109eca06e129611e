"""What is told of evaluations: a line when one begins and when it ends, and what the instruments count of it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.errors import ServiceError
from service.evaluation.queue.jobs import Job
from service.evaluation.report.schema import TOTAL
from service.evaluation.stages import FOLLOWER
from service.telemetry.instruments import Instruments
from service.telemetry.lines import told_of
from service.telemetry.logs import plain, told
from service.telemetry.traces import NoTracer, Tracer

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged

UNJUDGED = "unjudged"
"""The outcome of a report that nobody gave a threshold, and of a stored reference."""
NO_REASON = "none"


@dataclass(frozen=True, slots=True)
class End:
    """How the work on an evaluation ended: with its document, or with an error."""

    status: str
    document: Mapping[str, Any] | None = None
    error: ServiceError | None = None

    @property
    def outcome(self) -> str:
        """The verdict's where there is one, else the status."""
        if self.status != "finished":
            return self.status
        verdict = (self.document or {}).get("verdict")
        return str(verdict["outcome"]) if verdict else UNJUDGED

    @property
    def reason(self) -> str:
        """The kind of error."""
        return NO_REASON if self.error is None or self.status != "failed" else type(self.error).__name__


class Telling:
    """What one evaluator tells."""

    def __init__(self, instruments: Instruments, tracer: Tracer | None = None) -> None:
        self._instruments = instruments
        self._tracer = tracer or NoTracer()
        instruments.begin_at_zero(instruments.evaluations, "finished", "failed", "cancelled")
        for outcome in ("passed", "failed", "inconclusive", UNJUDGED):
            instruments.conditions.evaluation_outcomes.labels(outcome, NO_REASON)

    def begun(self, job: Job) -> None:
        """An evaluation is worked on."""
        FOLLOWER.set(partial(self._tracer.part, job.request_id or job.id, evaluation=job.id))
        log.info("%s begins", job.kind, extra=told(**_whose(job), attempt=job.attempt))

    def ended(self, job: Job, end: End, seconds: float) -> None:
        """It is over."""
        self._tracer.part(
            job.request_id or job.id, job.kind, seconds, evaluation=job.id, outcome=end.outcome, reason=end.reason
        )
        instruments = self._instruments
        instruments.evaluations.labels(end.status).inc()
        instruments.evaluation_seconds.observe(seconds)
        instruments.conditions.evaluation_outcomes.labels(end.outcome, end.reason).inc()
        stages = _stages(end.document)
        for stage, took_s in stages.items():
            instruments.conditions.evaluation_stage_seconds.labels(stage).observe(took_s)
        log.log(
            logging.WARNING if end.status == "failed" else logging.INFO,
            "%s ends",
            job.kind,
            extra=told(
                **_whose(job),
                status=end.status,
                verdict=None if end.outcome == end.status else end.outcome,
                s=round(seconds, 2),
                **{f"{stage}_s": round(took_s, 2) for stage, took_s in stages.items()},
                **told_of(end.error),
            ),
        )


STAGES = ("read_generated", "read_reference", "extract_generated", "extract_reference", "measure", "figures")
"""What a report says the time of, beside the metrics."""


def _stages(document: Mapping[str, Any] | None) -> dict[str, float]:
    timing: Mapping[str, float] = (document or {}).get("timing") or {}
    return {stage: timing[stage] for stage in STAGES if stage in timing and stage != TOTAL}


def whose(job: Job) -> dict[str, Mapping[str, object]]:
    """What any line about an evaluation has beside its sentence."""
    return told(**_whose(job))


def _whose(job: Job) -> dict[str, object]:
    return {"evaluation": job.id, "request": plain(job.request_id) or None, "key": job.key}
