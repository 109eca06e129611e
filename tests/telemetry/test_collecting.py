"""A whole service sends its spans to a collector: a request and an evaluation, followed through every process."""

import gzip
import io
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import pytest
from serving import Service
from waiting import PATIENCE_S, until

from service.imaging import encode_png
from service.telemetry.traces import missing_package, root_span_id, trace_id

pytestmark = [
    pytest.mark.slow,
    pytest.mark.traces,
    pytest.mark.skipif(missing_package() is not None, reason="`make traces` installs opentelemetry's packages"),
]

RANDOM = np.random.default_rng(0)


class Collector(ThreadingHTTPServer):
    """Takes spans as OpenTelemetry's collector does, and keeps each with the role that sent it, by its trace."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.spans: dict[int, dict[str, tuple[str, Any]]] = defaultdict(dict)

    @property
    def url(self) -> str:
        """What CHAPTERHOUSE_TRACES_URL is."""
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def take(self, body: bytes) -> None:
        """Keep what one message brings."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {attribute.key: attribute.value.string_value for attribute in sent.resource.attributes}
            for span in (span for scope in sent.scope_spans for span in scope.spans):
                self.spans[int.from_bytes(span.trace_id)][span.name] = (told["chapterhouse.role"], span)


class Receiving(BaseHTTPRequestHandler):
    """One message of spans."""

    server: Collector

    def do_POST(self) -> None:
        """Take it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("traced")
    with Service(folder, TRACES_URL=collector.url) as running:
        running.wait_until_ready()
        yield running


def roles(collector: Collector, request_id: str) -> dict[str, str]:
    return {name: role for name, (role, _) in collector.spans[trace_id(request_id)].items()}


def test_a_request_is_one_trace_through_front_queue_batch_and_device(service: Service, collector: Collector) -> None:
    picture = encode_png(RANDOM.integers(0, 256, (28, 28, 1), np.uint8))
    headers = {"content-type": "image/png", "x-request-id": "build-4711"}
    httpx.post(f"{service.url}/classify", content=picture, headers=headers, timeout=PATIENCE_S).raise_for_status()
    wanted = {"POST /classify": "front", "queue": "engine", "batch": "engine", "device": "engine"}
    until(lambda: roles(collector, "build-4711") == wanted)
    spans = {name: span for name, (_, span) in collector.spans[trace_id("build-4711")].items()}
    whole = spans.pop("POST /classify")
    assert int.from_bytes(whole.span_id) == root_span_id("build-4711")
    for span in spans.values():
        assert span.parent_span_id == whole.span_id
        assert {"chapterhouse.request_id", "model", "rows"} <= {attribute.key for attribute in span.attributes}


def test_an_evaluation_is_one_trace_with_its_stages(service: Service, collector: Collector) -> None:
    file = io.BytesIO()
    np.save(file, RANDOM.integers(0, 256, (24, 28, 28, 1), np.uint8))
    reply = httpx.post(
        f"{service.url}/evaluate",
        files={"generated": ("a.npy", file.getvalue()), "reference": ("b.npy", file.getvalue())},
        data={"metrics": "kid"},
        headers={"x-request-id": "nightly-7", "prefer": f"wait={PATIENCE_S:.0f}"},
        timeout=PATIENCE_S,
    )
    assert reply.status_code == 200, reply.text
    stages = ("evaluation", "read_generated", "extract_generated", "measure")
    until(lambda: {"POST /evaluate", "batch", *stages} <= roles(collector, "nightly-7").keys())
    assert {roles(collector, "nightly-7")[stage] for stage in stages} == {"evaluator"}
