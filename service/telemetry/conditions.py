"""How processes and devices are, who is refused, and how evaluations end: what is counted now and then."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.telemetry.tally import TalliedHistogram, Tally

SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)


class Conditions:
    """The instruments of one process for it, in a registry that it shares with others."""

    def __init__(self, registry: CollectorRegistry, tally: Tally) -> None:
        r = registry
        self.refusals = Counter(
            "chapterhouse_refusals",
            "Requests refused, by the kind of error and the class of the client: with a key, of this machine, any.",
            ["reason", "client"],
            registry=r,
        )
        self.process_cpu_seconds = Counter(
            "chapterhouse_process_cpu_seconds",
            "Processor time of the service's processes, by role.",
            ["role"],
            registry=r,
        )
        self.process_resident_memory_bytes = Gauge(
            "chapterhouse_process_resident_memory_bytes",
            "Memory of the service's processes, by role.",
            ["role"],
            registry=r,
            multiprocess_mode="livesum",
        )
        self.process_open_descriptors = Gauge(
            "chapterhouse_process_open_descriptors",
            "Open file descriptors of the service's processes, by role.",
            ["role"],
            registry=r,
            multiprocess_mode="livesum",
        )
        self.heartbeats_missed = Counter(
            "chapterhouse_heartbeats_missed",
            "Beats of a process that did not come in time, by role.",
            ["role"],
            registry=r,
        )
        self.model_set_aside = Gauge(
            "chapterhouse_model_set_aside",
            "1 while a model gets no work because an engine hung in a forward pass of it.",
            ["model"],
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.device_memory_bytes = Gauge(
            "chapterhouse_device_memory_bytes",
            "Memory of a device: what is used, and the total; of a CPU, by its engine of the machine's.",
            ["device", "kind"],
            registry=r,
            multiprocess_mode="livemostrecent",
        )
        self.device_busy_seconds = Counter(
            "chapterhouse_device_busy_seconds",
            "Time in which a device loaded a model or forwarded a batch.",
            ["device"],
            registry=r,
        )
        self.batch_fill_ratio = TalliedHistogram(
            "chapterhouse_batch_fill_ratio",
            "Rows of a batch beside the most that one of its model may have.",
            ["model"],
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
            registry=r,
            tally=tally,
        )
        self.batch_seconds = TalliedHistogram(
            "chapterhouse_batch_seconds",
            "From the start of a submission's first forward pass to its answer.",
            ["model"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60, 120, 300),
            registry=r,
            tally=tally,
        )
        self.evaluation_outcomes = Counter(
            "chapterhouse_evaluation_outcomes",
            "Evaluations that ended: by the verdict where there is a report, by the kind of error where there is none.",
            ["outcome", "reason"],
            registry=r,
        )
        self.evaluation_stage_seconds = Histogram(
            "chapterhouse_evaluation_stage_seconds",
            "Time of an evaluation's stages: reading, extracting, measuring.",
            ["stage"],
            buckets=SECONDS,
            registry=r,
        )
