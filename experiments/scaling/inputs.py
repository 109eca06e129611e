"""What the simulation of many pods starts from: every number with its unit and where it is from, all to be replaced.

Nothing here was measured on the machines that it speaks of; `python -m experiments.scaling NAME=VALUE …` takes others.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self


def _of(value: float, unit: str, source: str) -> Any:
    return field(default=value, metadata={"unit": unit, "source": source})


@dataclass(frozen=True, slots=True)
class Inputs:
    """A pod, what is asked of it, what all pods share, and prices."""

    cores_per_pod: float = _of(8, "cores", "chosen: beside one GPU of a node with eight")
    front_cores: float = _of(4, "cores", "half of them, as the service itself chooses")
    evaluators_per_pod: float = _of(2, "processes", "a quarter of the cores, as the service itself chooses")

    request_core_s: float = _of(
        150e-6, "core-seconds", "assumed: what a small PNG costs a front; see docs/benchmarks.md"
    )
    batch_fixed_s: float = _of(1e-3, "s", "assumed: a forward pass of a small net on a GPU, however few rows")
    batch_row_s: float = _of(5e-6, "s", "assumed: each row more")
    max_batch: float = _of(128, "rows", "the manifests of small classifiers")
    request_bytes: float = _of(1_600, "bytes", "a digit as PNG, the heads and the answer")

    images: float = _of(10_000, "images", "chosen: of one evaluation")
    image_bytes: float = _of(2_000, "bytes", "32×32 in colour as PNG")
    image_device_s: float = _of(1 / 4_000, "s", "assumed: Inception in float32 without TF32 on a large GPU")
    image_core_s: float = _of(60e-6, "core-seconds", "assumed: unpacking and decoding")
    measure_core_s: float = _of(4.0, "core-seconds", "assumed: FID and the other default metrics, with intervals")

    balancer_requests_s: float = _of(50_000, "requests/s", "assumed: of one load balancer")
    balancer_bytes_s: float = _of(1.25e9, "bytes/s", "assumed: of one load balancer, 10 Gbit/s")
    transactions_s: float = _of(5_000, "transactions/s", "assumed: short ones, of one PostgreSQL with 16 cores")
    connections: float = _of(500, "connections", "assumed: of one PostgreSQL without a pool before it")
    notices_s: float = _of(200_000, "notices/s", "assumed: told to listeners by one PostgreSQL")
    store_bytes_s: float = _of(10e9, "bytes/s", "assumed: of an object store, both ways together")
    store_requests_s: float = _of(3_500, "requests/s", "published: writes under one prefix of a common object store")
    series: float = _of(5e6, "series", "assumed: of one Prometheus")

    evaluation_transactions: float = _of(
        14, "transactions", "accepting, claiming, stages, the report; one a second more"
    )
    evaluation_changes: float = _of(3, "notices", "queued, running, ended; each told to every listener")
    evaluation_store_requests: float = _of(8, "requests", "the upload's parts, the report's pictures")
    pod_transactions_s: float = _of(1, "transactions/s", "an idle pod's own looking")
    pod_series: float = _of(1_500, "series", "what `/metrics` of one service has")

    gpu_hour: float = _of(2.5, "$", "assumed: with the pod's cores and memory")
    store_gib_month: float = _of(0.023, "$", "assumed")
    store_thousand_requests: float = _of(0.005, "$", "assumed")
    database_hour: float = _of(1.6, "$", "assumed: 16 cores")
    balancer_hour: float = _of(0.05, "$", "assumed")
    kept_days: float = _of(1, "days", "how long uploads and pictures of an evaluation lie in the store")
    peak: float = _of(2.5, "", "assumed: the busiest hour beside the mean")
    share: float = _of(0.7, "", "chosen: of what a resource can do, the most that is asked of it")

    def with_words(self, words: list[str]) -> Self:
        """The same with `name=value` put in. Raises ValueError for a name that is none."""
        given = dict(word.split("=", 1) for word in words)
        unknown = given.keys() - {each.name for each in fields(self)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is no input")
        return replace(self, **{name: float(value) for name, value in given.items()})
