"""From two sides to the entries of a report: scores, what they are worth, warnings, seconds."""

import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, TypeVar

from service.errors import InvalidSamples
from service.evaluation.copies import count_copies, exact_copies, warnings_of
from service.evaluation.report.schema import Copies, MetricEntry, NoiseFloor
from service.evaluation.samples.reading import Samples
from service.evaluation.threads import Stop
from service.machine import cores
from service.metrics.floor import Floor
from service.metrics.kernel_metric import share
from service.metrics.metric import Metric, Score, Side, interval_of
from service.metrics.placement import Card, placed_on
from service.metrics.registry import DEFAULT_METRICS, build_metric
from service.metrics.samples import softmax
from service.metrics.uncertainty import LEVEL, Interval

log = logging.getLogger(__name__)

THREADS = min(8, 2 * cores())
"""Metrics at once. Linear algebra lets go of the interpreter's lock, but each takes some memory; more than there are
cores, because some wait for what another computes for them all."""

NEIGHBOURLY = frozenset({"one_nn", "precision", "recall", "density", "coverage", "memorisation"})
"""Metrics that have found every sample's nearest neighbours: near copies are counted by these, too."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What measuring adds to a report."""

    metrics: dict[str, MetricEntry]
    copies: Copies
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


def side_of(samples: Samples, whose: str) -> Side:
    """The side of features, logits or statistics that a caller sent. Raises InvalidSamples for images."""
    if samples.images is not None:
        raise InvalidSamples(f"The {whose} set holds images, of which features have to be extracted first.")
    probabilities = samples.probabilities if samples.logits is None else softmax(samples.logits, whose)
    return Side(samples.features, probabilities, samples.statistics, samples.as_sent, samples.digests)


def measure(
    generated: Side,
    reference: Side,
    metrics: Mapping[str, Metric],
    *,
    seed: int = 0,
    intervals: bool = True,
    optional: Collection[str] = (),
    stop: Stop | None = None,
    card: Card | None = None,
) -> Measurement:
    """Every metric on the two sides, with intervals and p-values unless they are not wanted.

    Raises InvalidSamples where a side lacks what a metric needs, or holds what cannot be measured; all are asked
    before the first is computed. Metrics among `optional`, which nobody named, are left out instead, with the reason as
    a warning, unless none is left. They are computed side by side, each in one thread, and what several need is
    computed once, on the card if there is one. Raises Stopped between two of them.
    """
    stop = stop or Stop()
    generated = replace(generated, copied=exact_copies(generated, reference))
    left_out: dict[str, InvalidSamples] = {}
    for name, metric in metrics.items():
        if lack := metric.lacks(reference, generated):
            left_out[name] = _unless_optional(InvalidSamples(f"{name} needs {lack}."), name, optional)
    wanted = {name: metric for name, metric in metrics.items() if name not in left_out}
    share(reference, generated, wanted.values())
    for metric in wanted.values():
        if advice := metric.advice(reference, generated):
            log.warning(advice)  # now, since this is what somebody will wait for

    def one(name: str) -> _Measured | InvalidSamples:
        stop.check()
        started = time.perf_counter()
        try:
            score = wanted[name].measure(reference, generated, intervals=intervals, seed=seed)
            entry = _entry(name, score, wanted[name], (reference, generated), seed)
        except InvalidSamples as error:
            return _unless_optional(error, name, optional)
        return _Measured(entry, score.warnings, time.perf_counter() - started)

    with placed_on(card) as placement, ThreadPoolExecutor(THREADS, thread_name_prefix="metric") as pool:
        measuring = [pool.submit(copy_context().run, one, name) for name in wanted]
        found = dict(zip(wanted, _in_order(measuring), strict=True))
    measured = {name: one for name, one in found.items() if isinstance(one, _Measured)}
    left_out |= {name: one for name, one in found.items() if isinstance(one, InvalidSamples)}
    if left_out and not measured:
        raise next(iter(left_out.values()))
    copies = count_copies(generated, reference, by_distance=any(name in NEIGHBOURLY for name in measured))
    return Measurement(
        {name: one.entry for name, one in measured.items()},
        copies,
        (
            *warnings_of(copies, generated, reference),
            *(warning for one in measured.values() for warning in one.warnings),
            *(_left_out(name, error) for name, error in left_out.items()),
            *(placement.warnings if placement else ()),
        ),
        {name: one.seconds for name, one in measured.items()},
    )


class _Measured(NamedTuple):
    entry: MetricEntry
    warnings: tuple[str, ...]
    seconds: float


def _unless_optional(error: InvalidSamples, name: str, optional: Collection[str]) -> InvalidSamples:
    """The reason why a metric that nobody named is left out; raised for one that somebody did."""
    if name not in optional:
        raise error
    return error


def _left_out(name: str, error: InvalidSamples) -> str:
    reason = error.detail.removeprefix(f"{name} needs ")
    return f"{name} is left out: {'it needs ' if reason != error.detail else ''}{reason}"


def _in_order(measuring: Sequence[Future[T]]) -> list[T]:
    """The results of all metrics. Raises the first error in their order; no more are begun then."""
    try:
        return [future.result() for future in measuring]
    finally:
        for future in measuring:
            future.cancel()


def _entry(name: str, score: Score, metric: Metric, sides: tuple[Side, Side], seed: int) -> MetricEntry:
    if not math.isfinite(score.value):
        raise InvalidSamples(f"{name} has no finite value on these samples.")
    floor = _floor(name, metric, sides, seed)
    known = floor.value is not None and math.isfinite(floor.value)
    return MetricEntry.model_validate(
        {
            "value": score.value,
            **score.details,
            **_interval(interval_of(score, *sides)),
            "level": LEVEL,
            "noise_floor": NoiseFloor.model_validate(asdict(floor)) if known else None,
            "noise_floor_reason": None if known else floor.how,
            "times_floor": score.value / floor.value if metric.falls and floor.value and floor.value > 0 else None,
        }
    )


def _floor(name: str, metric: Metric, sides: tuple[Side, Side], seed: int) -> Floor:
    """What real samples score at these sizes: as the stored reference knows it, else from the reference itself."""
    reference, generated = sides
    law = (reference.floors or {}).get(name)
    if law is None or generated.count is None or metric != type(metric)():
        return metric.noise_floor(reference, generated, seed=seed)
    return law.at(generated.count)


def _interval(found: Interval | str) -> dict[str, Any]:
    if isinstance(found, str):
        without = dict.fromkeys(("interval", "estimand", "standard_error", "generated_error"))
        return {**without, "interval_reason": found}
    return {
        "interval": (found.low, found.high),
        "interval_reason": None,
        "estimand": found.estimand,
        "standard_error": found.standard_error,
        "generated_error": found.generated_error,
    }
