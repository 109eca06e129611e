"""A report as JUnit XML: every check a test, so that a pipeline's own page shows which of them failed."""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from service.evaluation.figures.data import Figures
from service.evaluation.rendering.words import headline, metric_of, outcome, provenance, subject
from service.evaluation.report.schema import TOTAL, Check, Report

SUITE = "chapterhouse"
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report, _figures: Figures | None = None) -> str:
    """One suite with a test for each check, or a single passing one where nothing was judged; scores are properties."""
    checks = report.verdict.checks if report.verdict else ()
    counts = {"tests": str(max(1, len(checks))), "failures": str(sum(not check.passed for check in checks))}
    totals = {**counts, "errors": "0", "skipped": "0", "time": f"{report.timing.get(TOTAL, 0.0):.3f}"}
    suites = Element("testsuites", {"name": SUITE, **totals})
    suite = SubElement(suites, "testsuite", {"name": f"{SUITE} {report.id}", **totals})
    properties = SubElement(suite, "properties")
    for name, value in _properties(report):
        SubElement(properties, "property", {"name": _clean(name), "value": _clean(value)})
    for check in checks:
        _case(suite, check, report)
    if not checks:
        SubElement(suite, "testcase", {"classname": SUITE, "name": "measured", "time": totals["time"]})
    SubElement(suite, "system-out").text = _clean("\n".join([headline(report), subject(report), *report.warnings]))
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, "unicode")}\n'


def _case(suite: Element, check: Check, report: Report) -> None:
    metric = metric_of(check)
    seconds = f"{report.timing.get(metric, 0.0):.3f}"
    described = {"classname": f"{SUITE}.{metric}", "name": check.threshold, "time": seconds}
    case = SubElement(suite, "testcase", {name: _clean(value) for name, value in described.items()})
    if check.passed:
        SubElement(case, "system-out").text = _clean(f"{check.threshold} holds: {outcome(check)}")
    else:
        sentence = _clean(f"{check.threshold} does not hold: {outcome(check)}")
        SubElement(case, "failure", {"type": "threshold", "message": sentence}).text = sentence


def _properties(report: Report) -> list[tuple[str, str]]:
    rows = []
    for name, entry in report.metrics.items():
        rows.append((name, repr(entry.value)))
        if entry.interval is not None:
            rows += [
                (f"{name}.interval.low", repr(entry.interval[0])),
                (f"{name}.interval.high", repr(entry.interval[1])),
            ]
        if entry.noise_floor is not None:
            rows.append((f"{name}.noise_floor", repr(entry.noise_floor.value)))
    return [*rows, *provenance(report)]


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)
