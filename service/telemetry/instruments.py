"""Every Prometheus instrument of the service; each has a panel on the dashboard.

All processes write to one directory (prometheus-client's multiprocess mode), so a scrape of any front answers for all:
for itself as of now, for others as of a tenth of a second ago.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from service.telemetry.conditions import SECONDS as EVALUATION_SECONDS
from service.telemetry.conditions import Conditions
from service.telemetry.tally import TalliedCounter, TalliedGauge, TalliedHistogram, Tally

EXPOSITION_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60, 120, 300)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Instruments:
    """The instruments of one process, over a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tally = Tally()
        r, tally = self.registry, self.tally
        self.requests = TalliedCounter(
            "chapterhouse_requests", "HTTP requests answered.", ["endpoint", "code"], registry=r, tally=tally
        )
        self._answers: dict[tuple[str, int], tuple[TalliedCounter, TalliedHistogram]] = {}
        self.request_seconds = TalliedHistogram(
            "chapterhouse_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=r,
            tally=tally,
        )
        self.open_requests = TalliedGauge(
            "chapterhouse_open_requests",
            "HTTP requests that wait for their answer.",
            registry=r,
            tally=tally,
            multiprocess_mode="livesum",
        )
        self.rejected = TalliedCounter(
            "chapterhouse_rejected",
            "Work refused before it began or given up, by reason.",
            ["reason"],
            registry=r,
            tally=tally,
        )
        self.cancelled = TalliedCounter(
            "chapterhouse_cancelled", "Work dropped because its caller hung up.", ["model"], registry=r, tally=tally
        )
        self.queue_rows = TalliedGauge(
            "chapterhouse_queue_rows",
            "Rows that wait for a model.",
            ["model", "device"],
            registry=r,
            tally=tally,
            multiprocess_mode="livesum",
        )
        self.queue_seconds = TalliedHistogram(
            "chapterhouse_queue_seconds",
            "From arrival in an engine to the start of the forward pass.",
            ["model"],
            buckets=SECONDS,
            registry=r,
            tally=tally,
        )
        self.forward_seconds = TalliedHistogram(
            "chapterhouse_forward_seconds",
            "One forward pass of a batch.",
            ["model"],
            buckets=SECONDS,
            registry=r,
            tally=tally,
        )
        self.batch_rows = TalliedHistogram(
            "chapterhouse_batch_rows",
            "Rows of a batch, padding excluded.",
            ["model"],
            buckets=ROWS,
            registry=r,
            tally=tally,
        )
        self.model_failures = Counter(
            "chapterhouse_model_failures", "Forward passes that raised.", ["model"], registry=r
        )
        self.model_loaded = Gauge(
            "chapterhouse_model_loaded",
            "1 while a model is loaded and warm.",
            ["model", "version", "device"],
            registry=r,
            multiprocess_mode="livesum",
        )
        self.images_generated = Counter(
            "chapterhouse_images_generated", "Images sent by /generate.", ["model"], registry=r
        )
        self.evaluations = Counter(
            "chapterhouse_evaluations", "Evaluations that ended, by how.", ["status"], registry=r
        )
        self.evaluation_seconds = Histogram(
            "chapterhouse_evaluation_seconds",
            "From an evaluation's start to its report.",
            buckets=EVALUATION_SECONDS,
            registry=r,
        )
        self.evaluations_waiting = Gauge(
            "chapterhouse_evaluations_waiting",
            "Evaluations accepted and not yet begun.",
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.event_streams = Gauge(
            "chapterhouse_event_streams",
            "Evaluations that are followed as server-sent events.",
            registry=r,
            multiprocess_mode="livesum",
        )
        self.database_answers = Gauge(
            "chapterhouse_database_answers",
            "1 while the database of evaluations answers those who ask it.",
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.processes_up = Gauge(
            "chapterhouse_processes_up",
            "Processes that run, by role.",
            ["role"],
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.device_up = Gauge(
            "chapterhouse_device_up",
            "1 while a device's engine answers for it; 0 while it cannot be opened, or its engine is away.",
            ["device"],
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.restarts = Counter(
            "chapterhouse_process_restarts",
            "Processes that died or hung, and were started again.",
            ["role"],
            registry=r,
        )

        self.conditions = Conditions(r, tally)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that has been answered so."""
        counter, histogram = self._answers.get((endpoint, status)) or self._begin_answers(endpoint, status)
        counter.inc()
        histogram.observe(seconds)

    def _begin_answers(self, endpoint: str, status: int) -> tuple[TalliedCounter, TalliedHistogram]:
        """The series of such requests, found once."""
        found = self.requests.labels(endpoint, str(status)), self.request_seconds.labels(endpoint)
        self._answers[endpoint, status] = found
        return found

    def begin_at_zero(self, counter: Counter, *values: str) -> None:
        """Let a counter's series exist before anything happened: a first event would be no increase otherwise."""
        for value in values:
            counter.labels(value)

    def exposition(
        self, directory: Path | None, names: Sequence[str] | None = None, beside: Collector | None = None
    ) -> bytes:
        """The text that Prometheus scrapes: of all processes that share `directory`, or of this one.

        With `names`, only the samples that are called so; what is `beside` comes from another collector.
        """
        return written([*self.collector(directory).collect(), *(beside.collect() if beside else ())], names)

    def collector(self, directory: Path | None) -> CollectorRegistry:
        """The instruments of all processes that share `directory`, as of now, or of this one.

        What lies in a directory may be collected in any thread.
        """
        self.tally.flush()
        if directory is None:
            return self.registry
        registry = CollectorRegistry(support_collectors_without_names=True)
        multiprocess.MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
        return registry


class _Collected(Collector):
    """Instruments that have been read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """As they were."""
        return self._families


def written(families: Iterable[Metric], names: Sequence[str] | None = None) -> bytes:
    """Instruments in Prometheus's text format; with `names`, only the samples that are called so."""
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(_Collected(families))
    return generate_latest(registry.restricted_registry(names) if names else registry)


def forget_process(pid: int, directory: Path) -> None:
    """Take a dead process's gauges out of the next scrape."""
    multiprocess.mark_process_dead(pid, path=str(directory))  # type: ignore[no-untyped-call]
