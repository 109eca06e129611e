"""What is noted of a request when it is over: a line in the log where it failed, was slow, or every one is wanted.

Whoever asks cannot fill the log: of requests that fail some lines are written at once, and then so many a second.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from starlette.types import Scope

from service.api.access.callers import Caller, caller_of
from service.api.access.needs import route_of
from service.api.access.proxies import Place
from service.errors import Draining, Overloaded, ServiceError
from service.settings import Settings
from service.telemetry.conditions import Conditions
from service.telemetry.lines import Lines, milliseconds, told_of
from service.telemetry.logs import plain, told
from service.telemetry.traces import NoTracer, Tracer

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged

FAILED = 400
OURS = 500
"""From this status on it is the service that failed."""
REFUSED = frozenset({401, 403, 413, 429, 503})
WAITED_FOR = frozenset({"/evaluate", "/evaluations/{evaluation_id}/events"})
"""What answers late because its caller waits for an evaluation is not slow."""
PROBES = frozenset(
    {
        "/health/ready",
        "/v2/health/ready",
        "/v2/models/{model_name}/ready",
        "/v2/models/{model_name}/versions/{model_version}/ready",
    }
)
"""What orchestrators and clients ask again and again: 503 is their answer, no, and neither a failure nor a refusal."""
NO = 503
CLIENTS = ("key", "local", "anybody")
"""The classes of callers: with a key, with this machine's own token, with neither."""
REFUSAL = "refusal"
"""Where a request's state holds the error that answered it."""
MODEL = "model"
"""Where it holds the name of the model that it is for, once that is known."""
OF_MODEL = ("model_name", "model_id")
"""What a path calls it."""
UNMATCHED = "unmatched"
"""The route of what is for none."""


@dataclass(slots=True)
class Answered:
    """One request that is over; times are seconds from its first byte."""

    method: str
    route: str
    place: Place
    status: int
    sent_bytes: int
    whole_s: float
    received_s: float | None
    """When it had come whole, if it brought a body."""
    begun_s: float | None
    """When its answer began."""
    headers: Iterable[tuple[bytes, bytes]]
    """The answer's."""


class Noting:
    """What one front notes."""

    def __init__(self, settings: Settings, conditions: Conditions) -> None:
        self._conditions = conditions
        for reason, client in product((Overloaded, Draining), CLIENTS):
            conditions.refusals.labels(reason.__name__, client)  # so that the first one is an increase
        self.lines = Lines(settings)
        self.tracer: Tracer = NoTracer()
        self._traces = False
        self._wants_all = self.lines.every

    def trace(self, tracer: Tracer) -> None:
        """Give this tracer every request from now on."""
        self.tracer = tracer
        self._traces = not isinstance(tracer, NoTracer)
        self._wants_all = self.lines.every or self._traces

    def is_worth_it(self, status: int, seconds: float) -> bool:
        """Whether there is something to note; all that most requests cost."""
        return status >= FAILED or seconds > self.lines.slow_s or self._wants_all

    def note(self, scope: Scope, answered: Answered) -> None:
        """Write a line, unless it would be one too many, and count a refusal."""
        error: ServiceError | None = scope["state"].get(REFUSAL)
        caller = caller_of(scope)
        is_no = answered.status == NO and answered.route in PROBES
        if answered.status in REFUSED and error is not None and not is_no:
            self._conditions.refusals.labels(type(error).__name__, _class_of(caller)).inc()
        if self._traces:
            name = f"{answered.method} {answered.route}"
            self.tracer.request(scope["state"]["request_id"], name, answered.whole_s, **_fields(scope, answered))
        failed = answered.status >= FAILED and not is_no
        is_slow = answered.whole_s > self.lines.slow_s and answered.route not in WAITED_FOR
        if not (failed or is_slow or self.lines.every):
            return
        kept_back = self.lines.take()
        if kept_back is None:
            return
        word = "failed" if failed else "was slow" if is_slow else "answered"
        level = logging.WARNING if answered.status >= OURS or (is_slow and not failed) else logging.INFO
        log.log(
            level,
            "%s %s %s",
            answered.method,
            answered.route,
            word,
            extra=told(
                **_fields(scope, answered),
                key=caller.key,
                caller=None if caller.key else caller.name,
                **told_of(error),
                lines_left_out=kept_back or None,
            ),
        )


def _class_of(caller: Caller) -> str:
    bearer, local, others = CLIENTS
    return bearer if caller.key is not None else local if caller.is_known else others


def _fields(scope: Scope, answered: Answered) -> dict[str, Any]:
    received, begun = answered.received_s, answered.begun_s
    return {
        "request": plain(scope["state"]["request_id"]),
        "status": answered.status,
        "model": _model(scope, answered.headers),
        "bytes_in": _brought(scope),
        "bytes_out": answered.sent_bytes,
        "ms": milliseconds(answered.whole_s),
        "receive_ms": None if received is None else milliseconds(received),
        "answer_ms": None if begun is None else milliseconds(begun - (received or 0.0)),
        "send_ms": None if begun is None else milliseconds(answered.whole_s - begun),
    }


def _model(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The model that answered, or else the one that was meant to."""
    answered = next((value.decode("latin-1") for name, value in headers if name == b"x-model"), None)
    meant = scope["state"].get(MODEL) or next(filter(None, map(scope.get("path_params", {}).get, OF_MODEL)), None)
    return answered or (None if meant is None else plain(meant))


def _brought(scope: Scope) -> int | None:
    """The bytes of its body that have come, or where none was read those that it said it would bring."""
    holding = scope["state"].get("holding")
    said = dict(scope["headers"]).get(b"content-length", b"")
    return (holding and holding.brought) or (int(said) if said.isdigit() else None)


def endpoint_of(scope: Scope, method: str, path: str) -> str:
    """The route of a request, also of one that was refused before it got there."""
    return getattr(scope.get("route"), "path", None) or route_of(method, path) or UNMATCHED


def refuse(scope: Mapping[str, Any], error: ServiceError) -> None:
    """Remember the error that answers a request, for its line; not where it arose, which holds all that was read."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    scope["state"][REFUSAL] = error
