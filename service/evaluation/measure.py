"""From two sides to the entries of a report: scores, what they are worth, warnings, seconds."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from service.errors import InvalidSamples
from service.evaluation.report.schema import MetricEntry, NoiseFloor
from service.evaluation.samples.archives import Samples
from service.evaluation.threads import Stop
from service.metrics.kernel_metric import share
from service.metrics.metric import Metric, Score, Side, interval_of
from service.metrics.registry import DEFAULT_METRICS, build_metric
from service.metrics.samples import softmax
from service.metrics.uncertainty import LEVEL, Interval

THREADS = min(8, 2 * (os.cpu_count() or 1))
"""Metrics at once. Linear algebra lets go of the interpreter's lock, but each takes some memory; more than there are
cores, because some wait for what another computes for them all."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What measuring adds to a report."""

    metrics: dict[str, MetricEntry]
    warnings: tuple[str, ...]
    timing: dict[str, float]


def choose_metrics(
    names: Sequence[str] = (), options: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Metric]:
    """The metrics of these names, or the default ones, with each one's options. Raises InvalidRequest."""
    options = options or {}
    chosen = {name: build_metric(name, options.get(name)) for name in names or DEFAULT_METRICS}
    for name in options.keys() - chosen.keys():
        build_metric(
            name, options[name]
        )  # options of a metric that is not measured are harmless, a typing error is not
    return chosen


def measurable(metrics: Mapping[str, Metric], generated: Side, reference: Side) -> dict[str, Metric]:
    """Those of the metrics for which both sides hold what is needed: for defaults, which nobody asked for by name."""
    return {name: metric for name, metric in metrics.items() if metric.lacks(reference, generated) is None}


def side_of(samples: Samples, whose: str) -> Side:
    """The side of features, logits or statistics that a caller sent. Raises InvalidSamples for images."""
    if samples.images is not None:
        raise InvalidSamples(f"The {whose} set holds images, of which features have to be extracted first.")
    probabilities = None if samples.logits is None else softmax(samples.logits, whose)
    return Side(features=samples.features, probabilities=probabilities, statistics=samples.statistics)


def measure(
    generated: Side,
    reference: Side,
    metrics: Mapping[str, Metric],
    *,
    seed: int = 0,
    intervals: bool = True,
    stop: Stop | None = None,
) -> Measurement:
    """Every metric on the two sides, with intervals and p-values unless they are not wanted.

    Raises InvalidSamples where a side lacks what a metric needs, or holds what cannot be measured; all are asked
    before the first is computed. They are computed side by side, each in one thread, and what several need is computed
    once. Raises Stopped between two of them.
    """
    stop = stop or Stop()
    for name, metric in metrics.items():
        if lack := metric.lacks(reference, generated):
            raise InvalidSamples(f"{name} needs {lack}.")

    share(reference, generated, metrics.values())

    def one(name: str) -> tuple[MetricEntry, tuple[str, ...], float]:
        stop.check()
        started = time.perf_counter()
        score = metrics[name].measure(reference, generated, intervals=intervals, seed=seed)
        entry = _entry(name, score, metrics[name], (reference, generated), seed)
        return entry, score.warnings, time.perf_counter() - started

    with ThreadPoolExecutor(THREADS, thread_name_prefix="metric") as pool:
        measured = dict(zip(metrics, _in_order([pool.submit(one, name) for name in metrics]), strict=True))
    return Measurement(
        {name: entry for name, (entry, _, _) in measured.items()},
        tuple(warning for _, warnings, _ in measured.values() for warning in warnings),
        {name: seconds for name, (_, _, seconds) in measured.items()},
    )


def _in_order(measuring: Sequence[Future[T]]) -> list[T]:
    """What all metrics came to. Raises what the first to fail, in their order, raised; others are not begun then."""
    try:
        return [future.result() for future in measuring]
    finally:
        for future in measuring:
            future.cancel()


def _entry(name: str, score: Score, metric: Metric, sides: tuple[Side, Side], seed: int) -> MetricEntry:
    if not math.isfinite(score.value):
        raise InvalidSamples(f"{name} has no finite value on these samples.")
    floor = metric.noise_floor(*sides, seed=seed)
    known = floor.value is not None and math.isfinite(floor.value)
    return MetricEntry.model_validate(
        {
            "value": score.value,
            **score.details,
            **_interval(interval_of(score, *sides)),
            "level": LEVEL,
            "noise_floor": NoiseFloor(value=floor.value, sizes=floor.sizes, how=floor.how) if known else None,
            "noise_floor_reason": None if known else floor.how,
        }
    )


def _interval(found: Interval | str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"interval": None, "interval_reason": found}
    return {
        "interval": (found.low, found.high),
        "interval_reason": None,
        "estimand": found.estimand,
        "standard_error": found.standard_error,
        "generated_error": found.generated_error,
    }
