"""Traces by OpenTelemetry, sent where CHAPTERHOUSE_TRACES_URL says; without it nothing is loaded and nothing done.

A trace's id is made of the request's id, and so is the id of its first span: whoever knows the request knows both, and
engines and evaluators add their spans to those of the front without being told more.
"""

import hashlib
import time
from importlib.util import find_spec
from typing import Any, Protocol

from service.errors import ConfigurationError
from service.settings import Settings

NEEDED = "CHAPTERHOUSE_TRACES_URL needs the extra `traces`: pip install 'chapterhouse[traces]'."


def missing_package() -> str | None:
    """What is to be said where traces are wanted and their package is not installed."""
    try:
        found = find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    return None if found else NEEDED


class Tracer(Protocol):
    """Takes spans that are over."""

    def request(self, request_id: str, name: str, seconds: float, **attributes: object) -> None:
        """The span of a whole request, which has just ended."""
        ...

    def part(self, request_id: str, name: str, seconds: float, ended_s: float = 0.0, **attributes: object) -> None:
        """A span below that of the request, which ended so many seconds ago."""
        ...

    def flush(self) -> None:
        """Send what has not been sent."""
        ...


class NoTracer:
    """Traces nothing."""

    def request(self, request_id: str, name: str, seconds: float, **attributes: object) -> None:
        """Nothing."""

    def part(self, request_id: str, name: str, seconds: float, ended_s: float = 0.0, **attributes: object) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


def tracer_of(settings: Settings, role: str) -> Tracer:
    """The tracer of a process. Raises ConfigurationError where its package is missing."""
    if not settings.traces_url:
        return NoTracer()
    if missing := missing_package():
        raise ConfigurationError(missing)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return Telemetry(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces_url)), role)


class Telemetry:
    """Spans of one process, given to a processor of the SDK."""

    def __init__(self, processor: Any, role: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        self._ids = _ids()
        resource = Resource.create({"service.name": "chapterhouse", "chapterhouse.role": role})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=True)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("chapterhouse")

    def request(self, request_id: str, name: str, seconds: float, **attributes: object) -> None:
        """The span of a whole request, which has just ended."""
        from opentelemetry.context import Context

        self._ids.next_trace, self._ids.next_span = trace_id(request_id), root_span_id(request_id)
        self._write(Context(), name, seconds, 0.0, {"chapterhouse.request_id": request_id, **attributes})

    def part(self, request_id: str, name: str, seconds: float, ended_s: float = 0.0, **attributes: object) -> None:
        """A span below that of the request, which ended so many seconds ago."""
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

        above = SpanContext(
            trace_id(request_id), root_span_id(request_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        context = set_span_in_context(NonRecordingSpan(above), Context())
        self._write(context, name, seconds, ended_s, {"chapterhouse.request_id": request_id, **attributes})

    def _write(self, context: Any, name: str, seconds: float, ended_s: float, attributes: dict[str, Any]) -> None:
        end = time.time_ns() - int(ended_s * 1e9)
        known = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, context, attributes=known, start_time=end - int(seconds * 1e9))
        span.end(end)

    def flush(self) -> None:
        """Send what has not been sent."""
        self._provider.force_flush()


def trace_id(request_id: str) -> int:
    """The id of the trace of a request."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:16]) or 1


def root_span_id(request_id: str) -> int:
    """The id of the first span of a request."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[16:24]) or 1


def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):  # type: ignore[misc, unused-ignore] # where its package is missing
        """Random ids, unless the next ones are given."""

        next_trace: int | None = None
        next_span: int | None = None

        def generate_trace_id(self) -> int:
            given, self.next_trace = self.next_trace, None
            return given or super().generate_trace_id()

        def generate_span_id(self) -> int:
            given, self.next_span = self.next_span, None
            return given or super().generate_span_id()

    return Ids()
