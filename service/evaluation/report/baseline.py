"""Not worse than an earlier evaluation: each metric against its baseline, judged on the difference's interval.

Both were compared with the same reference, so that what the reference's own samples add to both scores is the same and
cancels: the difference varies by the two generated sets alone, which were drawn independently,

    d ± z √(s²new + s²old),   s = standard error with the reference held fixed

Of m metrics each is given 5 %/m (Bonferroni), so that all together call a generator worse than itself in 5 % of cases
at most, however the metrics depend on each other.

A metric is worse where this whole interval lies on the worse side of zero; one with an ideal, where it is further from
it by more than half the interval. Where only one of the two scores has a standard error it is taken for both, because a
generator that stayed the same scatters the same. Where neither has one there is nothing to weigh the difference with:
any step to the worse side, beyond rounding, is inconclusive, and by its value one too many.
"""

import math
from collections.abc import Collection, Mapping
from statistics import NormalDist
from typing import Any

from service.errors import NotComparable
from service.evaluation.report.schema import Check, Comparison, MetricEntry, Outcome, Report
from service.metrics.registry import metric_type
from service.schemas import Inconclusive

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


def compare(
    baseline: Report, entries: Mapping[str, MetricEntry], *, inconclusive: Inconclusive | None = None
) -> tuple[Check, ...]:
    """A check for each metric that both have, with what the caller wants one to count as that cannot be decided.

    Raises NotComparable where there is none: nothing would be judged.
    """
    shared = [name for name in entries if name in baseline.metrics]
    level = 1 - ERRORS / max(1, len(shared))
    checks = tuple(_check(name, entries[name], baseline, level, inconclusive) for name in shared)
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


def _check(name: str, now: MetricEntry, baseline: Report, level: float, inconclusive: Inconclusive | None) -> Check:
    then = baseline.metrics[name]
    difference = now.value - then.value
    reach = _reach(now, then, level)
    worse = _badness(name, now) - _badness(name, then)
    passed = worse <= (ROUNDING * max(abs(now.value), abs(then.value)) if reach is None else reach)
    outcome: Outcome = "passed" if passed else "failed"
    if reach is None and not passed:
        outcome, passed = "inconclusive", inconclusive == "pass"
    compared = Comparison(
        evaluation=baseline.id,
        value=then.value,
        difference=difference,
        interval=None if reach is None else (difference - reach, difference + reach),
        level=None if reach is None else level,
    )
    return Check(
        threshold=f"{name} not worse than {baseline.id}",
        value=now.value,
        passed=passed,
        outcome=outcome,
        baseline=compared,
    )


def _badness(name: str, entry: MetricEntry) -> float:
    """How far a score is on the worse side; a classifier's accuracy may be too low as well as too high."""
    better = metric_type(name).about.better
    if better == "nearer its ideal":
        return abs(entry.value - (entry.number("ideal") or EVEN))
    return entry.value if better == "lower" else -entry.value


def _reach(now: MetricEntry, then: MetricEntry, level: float) -> float | None:
    """How far the two scores of a generator that did not change lie apart at most, at this level; None if unknown."""
    known = [error for error in (now.generated_error, then.generated_error) if error is not None]
    if not known:
        return None
    return NormalDist().inv_cdf((1 + level) / 2) * math.hypot(known[0], known[-1])


def _words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "no options"


def _extractor(name: str, weights_sha256: str | None) -> str:
    return f"{name} (weights {weights_sha256[:12]})" if weights_sha256 else name


def _reference(name: str | None, sha256: str) -> str:
    return f"{name or 'a reference that was sent'} (sha256 {sha256[:12]})"
