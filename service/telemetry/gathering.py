"""The instruments of processes that share no directory: each tells its own, and whoever is scraped answers for all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from service.telemetry.instruments import Instruments

LABEL = "replica"
"""Which process counted. A sum over them would fall when one of them dies, and Prometheus take that for a restart."""


@dataclass(frozen=True, slots=True)
class Family:
    """One instrument of one process."""

    name: str
    documentation: str
    kind: str
    samples: tuple[tuple[str, dict[str, str], float], ...]


Families = Sequence[Family]


def families_of(instruments: Instruments) -> Families:
    """The instruments of this process as they stand."""
    instruments.tally.flush()
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple((sample.name, dict(sample.labels), sample.value) for sample in metric.samples),
        )
        for metric in instruments.registry.collect()
    ]


class GatheredInstruments(Instruments):
    """The instruments of this process, and what others told last."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.told: Mapping[str, Families] = {}

    def collector(self, directory: Path | None) -> CollectorRegistry:  # noqa: ARG002 - there is no directory
        """Its own as of now, and what others told last."""
        registry = CollectorRegistry(support_collectors_without_names=True)
        registry.register(_Together({**self.told, self._name: families_of(self)}))
        return registry


class _Together(Collector):
    """Families of several processes, each sample marked with whose it is."""

    def __init__(self, told: Mapping[str, Families]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        """The families, each once."""
        found: dict[str, Metric] = {}
        for process, families in self._told.items():
            for family in families:
                metric = found.setdefault(family.name, Metric(family.name, family.documentation, family.kind))
                for name, labels, value in family.samples:
                    metric.add_sample(name, {**labels, LABEL: process}, value)
        yield from found.values()
