"""What is read when Prometheus asks, and counted nowhere: every such family, and a collector of its values."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Family:
    """A gauge that has one value for each set of labels."""

    documentation: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    "chapterhouse_build_info": Family("1, with the versions that answer.", ("version", "python", "torch", "numpy")),
    "chapterhouse_ready": Family("1 while every wanted model is warm and this instance does not drain."),
    "chapterhouse_model_info": Family(
        "1 for each model that an engine holds, with what it is.", ("model", "version", "task", "net", "dataset")
    ),
    "chapterhouse_evaluations_open": Family("Evaluations that wait or are worked on.", ("status",)),
    "chapterhouse_evaluation_oldest_seconds": Family(
        "Age of the oldest evaluation that waits (since it was accepted) or is worked on (since it was begun).",
        ("status",),
    ),
    "chapterhouse_evaluation_score": Family(
        "A score of one of the last 20 finished evaluations, 1 being the latest.", ("recent", "metric", "reference")
    ),
    "chapterhouse_disk_used_bytes": Family("Disk that a part of the state directory takes.", ("part",)),
    "chapterhouse_disk_free_bytes": Family("Disk that is left where the state directory lies."),
    "chapterhouse_disk_size_bytes": Family("The size of the disk where the state directory lies."),
}


class Readings(Collector):
    """The values of one moment."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}

    def add(self, name: str, value: float, *labels: str) -> None:
        """One value of a family."""
        assert len(labels) == len(FAMILIES[name].labels)
        self._values.setdefault(name, {})[labels] = value

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families that have values."""
        for name, values in self._values.items():
            family = GaugeMetricFamily(name, FAMILIES[name].documentation, labels=FAMILIES[name].labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family
