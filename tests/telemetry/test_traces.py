"""Spans by OpenTelemetry's SDK, where it is installed; and none where nobody asked for any."""

from typing import Any

import pytest

from service.errors import ConfigurationError
from service.settings import Settings
from service.telemetry import traces
from service.telemetry.traces import NoTracer, Telemetry, missing_package, root_span_id, trace_id, tracer_of

with_sdk = [
    pytest.mark.traces,
    pytest.mark.skipif(missing_package() is not None, reason="`make traces` installs opentelemetry's packages"),
]


def test_nothing_is_traced_unless_it_is_said_where_to() -> None:
    tracer = tracer_of(Settings(), "front")
    assert isinstance(tracer, NoTracer)
    tracer.request("a", "GET /models", 0.1)
    tracer.part("a", "queue", 0.1)
    tracer.flush()


def test_a_place_without_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"chapterhouse\[traces\]"):
        tracer_of(Settings(traces_url="http://127.0.0.1:4318/v1/traces"), "front")


def test_ids_come_of_the_requests_and_are_none_of_zero() -> None:
    assert trace_id("a") == trace_id("a") != trace_id("b")
    assert 0 < trace_id("") < 1 << 128
    assert 0 < root_span_id("") < 1 << 64


class TestWithTheSdk:
    pytestmark = with_sdk

    def test_parts_told_by_other_processes_hang_below_the_request(self) -> None:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        kept: Any = InMemorySpanExporter()
        engine, front = (Telemetry(SimpleSpanProcessor(kept), role) for role in ("engine", "front"))
        engine.part("build-4711", "queue", 0.25, 0.5, model="lenet5-mnist", device=None)
        front.request("build-4711", "POST /classify", 1.0, status=200)
        queue, whole = kept.get_finished_spans()
        assert whole.parent is None
        assert queue.parent.span_id == whole.context.span_id == root_span_id("build-4711")
        assert queue.context.trace_id == whole.context.trace_id == trace_id("build-4711")
        assert whole.end_time - whole.start_time == 1_000_000_000
        assert queue.end_time - queue.start_time == 250_000_000
        assert dict(queue.attributes) == {"chapterhouse.request_id": "build-4711", "model": "lenet5-mnist"}
        assert whole.resource.attributes["chapterhouse.role"] == "front"

    def test_a_request_does_not_lend_its_id_to_another(self) -> None:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        kept = InMemorySpanExporter()
        front = Telemetry(SimpleSpanProcessor(kept), "front")
        front.request("a", "GET /models", 0.1)
        front.part("a", "receive", 0.1)
        front.request("b", "GET /models", 0.1)
        first, part, second = kept.get_finished_spans()
        assert len({first.context.span_id, part.context.span_id, second.context.span_id}) == 3
        assert second.context.trace_id == trace_id("b")
