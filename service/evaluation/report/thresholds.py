"""Thresholds such as `fid<=1,inception_score.std<=1`: read when they arrive, applied when the scores are there."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from service.errors import InvalidRequest
from service.evaluation.report.schema import Check, MetricEntry, Outcome, Verdict
from service.metrics.registry import METRICS
from service.schemas import Inconclusive
from service.spelling import aside

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
EVERY_METRICS_PARTS = ("interval.low", "interval.high", "standard_error", "noise_floor", "times_floor")
_THRESHOLD = re.compile(r"([a-z0-9_]+)(?:\.([a-z0-9_.]+))?\s*(<=|>=|<|>)\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Threshold:
    """`<metric>[.<part>]<operator><limit>`; without a part the value is meant."""

    text: str
    metric: str
    part: str
    comparison: str
    limit: float


def parse_thresholds(text: str, measured: Collection[str]) -> tuple[Threshold, ...]:
    """The thresholds of a request that measures these metrics.

    Raises InvalidRequest, one error a threshold, for what cannot be read and for names of metrics and parts that the
    report will not have.
    """
    thresholds: list[Threshold] = []
    errors = []
    for word in filter(None, map(str.strip, text.split(","))):
        try:
            thresholds.append(_parse(word, measured))
        except ValueError as error:
            errors.append({"field": "thresholds", "message": f"{word[:100]!r}: {error}"})
    if text.strip() and not (thresholds or errors):
        errors.append({"field": "thresholds", "message": f"{text[:100]!r}: there is no condition in it"})
    if errors:
        raise InvalidRequest("; ".join(error["message"] for error in errors) + ".", errors=errors)
    return tuple(thresholds)


def apply_thresholds(
    thresholds: Sequence[Threshold],
    metrics: Mapping[str, MetricEntry],
    compared: Sequence[Check] = (),
    *,
    inconclusive: Inconclusive | None = None,
) -> Verdict | None:
    """The verdict, with the checks against a baseline after those of the thresholds; None without any.

    A number that the report has as null fails its check. A check whose value's interval lies on both sides of the
    threshold is inconclusive; what that counts as the caller may say, else the value decides.
    """
    judged = (_check(threshold, metrics[threshold.metric], inconclusive) for threshold in thresholds)
    checks = (*judged, *compared)
    if not checks:
        return None
    outcomes = {check.outcome for check in checks}
    return Verdict(
        passed=all(check.passed for check in checks),
        outcome="failed" if "failed" in outcomes else "inconclusive" if "inconclusive" in outcomes else "passed",
        checks=checks,
    )


def _check(threshold: Threshold, entry: MetricEntry, inconclusive: Inconclusive | None) -> Check:
    value = entry.number(threshold.part)
    passed = value is not None and OPERATORS[threshold.comparison](value, threshold.limit)
    outcome: Outcome = "passed" if passed else "failed"
    if not threshold.part and entry.interval is not None and entry.interval[0] < threshold.limit < entry.interval[1]:
        outcome = "inconclusive"
        passed = passed if inconclusive is None else inconclusive == "pass"
    return Check(threshold=threshold.text, value=value, passed=passed, outcome=outcome)


def _parse(word: str, measured: Collection[str]) -> Threshold:
    found = _THRESHOLD.fullmatch(word)
    if found is None:
        raise ValueError("write it as metric<=30, metric.part>=0.5, with one of <=, <, >=, >")
    metric, part, comparison, limit = found[1], found[2] or "", found[3], _number(found[4])
    if metric not in METRICS:
        raise ValueError(f"there is no metric {metric!r}{aside(metric, METRICS)}; there are {', '.join(METRICS)}")
    if metric not in measured:
        raise ValueError(f"{metric} is not among the metrics of this evaluation")
    parts = (*METRICS[metric].about.parts, *EVERY_METRICS_PARTS)
    if part and part not in parts:
        raise ValueError(f"{metric} has no part {part!r}{aside(part, parts)}; it has {', '.join(parts)}")
    return Threshold(word, metric, part, comparison, limit)


def _number(text: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise ValueError(f"{text!r} is not a number")
    return limit
