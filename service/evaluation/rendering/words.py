"""How a report is put into words and figures, the same in every form of it."""

import math
from collections.abc import Iterator

from service.evaluation.report.schema import Check, MetricEntry, Report
from service.metrics.registry import METRICS

TYPOGRAPHY = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SHOWN_APART = ("estimand", "p_value")
"""Details that have a place of their own."""


def number(value: float, digits: int = 4) -> str:
    """A number as it is printed: so many significant digits, a true minus, powers of ten written out."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "unknown"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -3:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa} × 10{str(int(power)).translate(TYPOGRAPHY)}".replace("-", "−")
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def plain(value: float) -> str:
    """A number that somebody chose, such as a limit: no more digits than it needs."""
    return f"{value:.10g}".replace("-", "−")


def interval(entry: MetricEntry) -> str:
    """The ends of an interval; a dash where there is none."""
    return "–" if entry.interval is None else " to ".join(number(end, 3) for end in entry.interval)


def floor(entry: MetricEntry) -> str:
    """What the reference scores against itself; a dash where that is not known."""
    return "–" if entry.noise_floor is None else number(entry.noise_floor.value, 3)


def interval_words(entry: MetricEntry) -> str:
    """What an interval is to cover, or why there is none."""
    return entry.interval_reason or (f"of {entry.estimand}" if entry.estimand else "")


def floor_words(entry: MetricEntry) -> str:
    """What was compared for the floor, and how many samples of it; or why there is none."""
    if entry.noise_floor is None:
        return entry.noise_floor_reason or ""
    sizes = " and ".join(f"{size:,}" for size in entry.noise_floor.sizes)
    return f"{entry.noise_floor.how} ({sizes})"


def title_of(metric: str) -> str:
    """A metric's name for people."""
    return METRICS[metric].about.title if metric in METRICS else metric.replace("_", " ").capitalize()


def direction_of(metric: str) -> str:
    """Which way a metric gets better; empty for one that is not known here."""
    return f"{METRICS[metric].about.better} is better" if metric in METRICS else ""


def details_of(entry: MetricEntry) -> Iterator[tuple[str, str]]:
    """What belongs to a score and has no place of its own."""
    for name, value in (entry.model_extra or {}).items():
        if name not in SHOWN_APART and value is not None:
            yield name.replace("_", " "), number(value) if isinstance(value, float) else str(value)


def p_value_of(entry: MetricEntry) -> str | None:
    """The p-value, where the metric has one."""
    value = (entry.model_extra or {}).get("p_value")
    return number(value, 2) if isinstance(value, float) else None


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    if report.verdict is None:
        return "Measured, not judged"
    total = len(report.verdict.checks)
    failed = sum(not check.passed for check in report.verdict.checks)
    open_still = sum(check.outcome == "inconclusive" for check in report.verdict.checks)
    doubt = f"; {'it is' if total == 1 else f'{open_still} of them'} inconclusive" if open_still else ""
    if not failed:
        return f"Passed: {'the check holds' if total == 1 else f'all {total} checks hold'}{doubt}"
    if total == 1:
        return f"Failed: the check does not hold{doubt}"
    return f"Failed: {failed} of {total} checks {'does' if failed == 1 else 'do'} not hold{doubt}"


def subject(report: Report) -> str:
    """What was compared with what, by which features."""
    real = report.reference
    made = "Statistics" if report.generated.count is None else f"{report.generated.count:,} generated samples"
    counted = "statistics" if real.count is None else f"{real.count:,}"
    whose = f"of {real.name}" if real.name else "real samples that were sent" if real.count else "that were sent"
    maker = "of the caller's own" if report.features.extractor == "caller" else f"of {report.features.extractor}"
    return f"{made} against {counted} {whose}, by {report.features.dim:,} features {maker}"


def metric_of(check: Check) -> str:
    """The metric that a check is about: the word that its threshold begins with."""
    return "".join(letter if letter.isalnum() or letter == "_" else " " for letter in check.threshold).split()[0]


def outcome(check: Check) -> str:
    """What a check found, to as many digits as tell the value from its limit."""
    if check.value is None:
        return "the report has no such number"
    found, compared, undecided = f"it is {number(check.value, 6)}", check.baseline, check.outcome == "inconclusive"
    if compared is None:
        return f"{found}, and its interval lies on both sides" if undecided else found
    ends = "" if compared.interval is None else f" ({' to '.join(number(end, 3) for end in compared.interval)})"
    doubt = ", and nothing tells how much of it is chance" if undecided else ""
    return f"{found}, it was {number(compared.value, 6)}: a difference of {number(compared.difference, 3)}{ends}{doubt}"


def provenance(report: Report) -> Iterator[tuple[str, str]]:
    """Everything that the numbers depend on, as names and values."""
    yield "evaluation", report.id
    if report.reused:
        yield "numbers of", f"{report.reused}, the same inputs"
    yield "generated samples", f"sha256 {report.generated.sha256}"
    real = report.reference
    if real.name:
        yield "reference", f"{real.name} ({real.dataset})"
    yield "reference samples", f"sha256 {real.sha256}"
    if real.kept is not None:
        yield "reference features kept", f"{real.kept:,}"
    yield "features", f"{report.features.dim:,} of {report.features.extractor}"
    for name, value in (
        ("weights", report.features.weights_sha256 and f"sha256 {report.features.weights_sha256}"),
        ("decoder", report.features.decoder),
        ("resizing", report.features.resizing),
        ("device", report.features.device),
    ):
        if value:
            yield name, value
    yield "seed", str(report.seed)
    for name, version in report.versions.items():
        yield name, version
    if report.timing:
        slowest = sorted(report.timing.items(), key=lambda step: -step[1])
        yield "time", ", ".join(f"{name.replace('_', ' ')} {seconds:.2f} s" for name, seconds in slowest)
