"""A report as Markdown: a comment under a pull request, a step's summary."""

import re

from service.evaluation.figures.data import Figures
from service.evaluation.rendering.words import (
    details_of,
    direction_of,
    floor,
    floor_words,
    headline,
    interval,
    interval_words,
    metric_of,
    number,
    outcome,
    p_value_of,
    provenance,
    subject,
    title_of,
)
from service.evaluation.report.schema import MetricEntry, Report

MARK = "<!-- chapterhouse -->"
"""By this line a pipeline finds the comment that it wrote before."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render_markdown(report: Report, _figures: Figures | None = None) -> str:
    """GitHub's and GitLab's Markdown; what a client chose, such as file names, is text in it and nothing else."""
    parts = [
        MARK,
        f"### {_sign(report)} {headline(report)}",
        f"{_plain(subject(report))}.",
        _metrics(report),
        _checks(report),
        *[f"> ⚠️ {_plain(warning)}" for warning in report.warnings],
        _folded("How the scores were computed", _table(("metric", "what"), _remarks(report))),
        _folded("What the numbers depend on", _table(("", ""), [(name, value) for name, value in provenance(report)])),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _sign(report: Report) -> str:
    if report.verdict is None:
        return "📏"
    return "✅" if report.verdict.passed else "❌"


def _metrics(report: Report) -> str:
    level = next((entry.level for entry in report.metrics.values()), 0.95)
    lines = [
        f"| metric | value | {level:.0%} interval | real against real | |",
        "|:---|---:|:---:|---:|:---|",
    ]
    for name, entry in report.metrics.items():
        cells = (
            f"{title_of(name)} `{name}`",
            f"**{number(entry.value)}**",
            interval(entry),
            floor(entry),
            _signs(report, name) or direction_of(name),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _signs(report: Report, metric: str) -> str:
    checks = report.verdict.checks if report.verdict else ()
    own = [check for check in checks if metric_of(check) == metric]
    return "<br>".join(f"{'✅' if check.passed else '❌'} {_code(check.threshold)}" for check in own)


def _checks(report: Report) -> str:
    checks = report.verdict.checks if report.verdict else ()
    failed = [check for check in checks if not check.passed]
    return "\n".join(f"- ❌ {_code(check.threshold)}: {_plain(outcome(check))}" for check in failed)


def _remarks(report: Report) -> list[tuple[str, str]]:
    return [(name, "; ".join(_about(entry))) for name, entry in report.metrics.items()]


def _about(entry: MetricEntry) -> list[str]:
    said = [f"{name} {value}" for name, value in details_of(entry)]
    if (p_value := p_value_of(entry)) is not None:
        said.append(f"p-value {p_value}")
    if words := interval_words(entry):
        said.append(f"{'no interval:' if entry.interval is None else 'interval'} {words}")
    said.append(f"real against real: {floor_words(entry)}")
    return said


def _table(columns: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|:---|:---|"]
    return "\n".join([*lines, *(f"| {_plain(name)} | {_plain(value)} |" for name, value in rows)])


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def _plain(text: str) -> str:
    """Text on one line whose signs mark nothing up and whose @ calls nobody."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("@", "@\u200b").replace("://", ":\u200b//")


def _code(text: str) -> str:
    return "`" + " ".join(text.replace("`", "").replace("|", "").split()) + "`"
