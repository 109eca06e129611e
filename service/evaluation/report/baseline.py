"""Not worse than an earlier evaluation: each metric against its baseline, judged on the difference's interval.

Both were compared with the same reference, so that what the reference's own samples add to both scores is the same and
cancels: the difference varies by the two generated sets alone, which were drawn independently,

    d ± z √(s²new + s²old),   s = standard error with the reference held fixed

Of m metrics each is given 5 %/m (Bonferroni), so that all together call a generator worse than itself in 5 % of cases
at most, however the metrics depend on each other.

A metric is worse where this whole interval lies on the worse side of zero; one with an ideal, where it is further from
it by more than half the interval. Where a metric has no interval there is nothing to weigh the difference with, and any
step to the worse side, beyond rounding, is one too many.
"""

import math
from collections.abc import Collection, Mapping
from statistics import NormalDist
from typing import Any

from service.errors import NotComparable
from service.evaluation.report.schema import Check, Comparison, MetricEntry, Report
from service.metrics.registry import metric_type

ERRORS = 0.05
"""How often a generator may be called worse than itself, by all metrics together."""
ROUNDING = 1e-9
EVEN = 0.5  # the ideal of reports that do not say theirs

Options = Mapping[str, Mapping[str, Any]]


def check_options(baseline: Report, options: Options, seed: int) -> None:
    """Refuse metrics of which the baseline has none, or has one computed otherwise. Raises NotComparable."""
    shared = [name for name in options if name in baseline.metrics]
    if not shared:
        raise NotComparable(
            f"The baseline {baseline.id} has none of these metrics; it has {', '.join(baseline.metrics)}."
        )
    if seed != baseline.seed:
        raise NotComparable(f"The baseline {baseline.id} was computed with the seed {baseline.seed}, not {seed}.")
    for name in shared:
        then, now = baseline.options.get(name, {}), dict(options[name])
        if then != now:
            raise NotComparable(f"The baseline {baseline.id} computed {name} with {_words(then)}, not {_words(now)}.")


def check_extractor(baseline: Report, extractor: str, weights_sha256: str | None) -> None:
    """Refuse features that another extractor made than the baseline's. Raises NotComparable."""
    then = baseline.features
    if (then.extractor, then.weights_sha256) != (extractor, weights_sha256):
        raise NotComparable(
            f"The baseline {baseline.id} looked at its samples with {_extractor(then.extractor, then.weights_sha256)}, "
            f"not with {_extractor(extractor, weights_sha256)}."
        )


def check_reference(baseline: Report, sha256: str, name: str | None) -> None:
    """Refuse another reference than the baseline's. Raises NotComparable."""
    if baseline.reference.sha256 != sha256:
        then, now = _reference(baseline.reference.name, baseline.reference.sha256), _reference(name, sha256)
        raise NotComparable(f"The baseline {baseline.id} was compared with {then}, this evaluation with {now}.")


def compare(baseline: Report, entries: Mapping[str, MetricEntry]) -> tuple[Check, ...]:
    """A check for each metric that both have. Raises NotComparable where there is none: nothing would be judged."""
    shared = [name for name in entries if name in baseline.metrics]
    level = 1 - ERRORS / max(1, len(shared))
    checks = tuple(_check(name, entries[name], baseline, level) for name in shared)
    if not checks:
        raise NotComparable(
            f"The baseline {baseline.id} has {', '.join(baseline.metrics)}; of these samples {', '.join(entries)} can "
            "be measured, and no metric is left to compare."
        )
    return checks


def unlike(baseline: Report, entries: Collection[str], versions: Mapping[str, str]) -> tuple[str, ...]:
    """What the reader of a comparison has to know."""
    said = [
        f"baseline: {name} is not compared; {baseline.id} does not have it."
        for name in entries
        if name not in baseline.metrics
    ]
    said += [
        f"baseline: {name} is not compared; it was not measured here."
        for name in baseline.metrics
        if name not in entries
    ]
    for name, now in versions.items():
        then = baseline.versions.get(name)
        if then != now:
            said.append(f"baseline: {baseline.id} was computed with {name} {then or 'unknown'}, this with {now}.")
    return tuple(said)


def _check(name: str, now: MetricEntry, baseline: Report, level: float) -> Check:
    then = baseline.metrics[name]
    difference = now.value - then.value
    interval = _interval(difference, now, then, level)
    worse = _badness(name, now) - _badness(name, then)
    doubt = ROUNDING * max(abs(now.value), abs(then.value)) if interval is None else (interval[1] - interval[0]) / 2
    compared = Comparison(
        evaluation=baseline.id,
        value=then.value,
        difference=difference,
        interval=interval,
        level=None if interval is None else level,
    )
    return Check(
        threshold=f"{name} not worse than {baseline.id}",
        value=now.value,
        passed=worse <= doubt,
        outcome="passed" if worse <= doubt else "failed",
        baseline=compared,
    )


def _badness(name: str, entry: MetricEntry) -> float:
    """How far a score is on the worse side; a classifier's accuracy may be too low as well as too high."""
    better = metric_type(name).about.better
    if better == "nearer its ideal":
        return abs(entry.value - (entry.number("ideal") or EVEN))
    return entry.value if better == "lower" else -entry.value


def _interval(difference: float, now: MetricEntry, then: MetricEntry, level: float) -> tuple[float, float] | None:
    errors = [now.generated_error, then.generated_error]
    if errors[0] is None or errors[1] is None:
        return None
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.hypot(errors[0], errors[1])
    return difference - reach, difference + reach


def _words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "no options"


def _extractor(name: str, weights_sha256: str | None) -> str:
    return f"{name} (weights {weights_sha256[:12]})" if weights_sha256 else name


def _reference(name: str | None, sha256: str) -> str:
    return f"{name or 'a reference that was sent'} (sha256 {sha256[:12]})"
