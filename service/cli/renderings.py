"""A report as files for other eyes: Markdown, JUnit XML, a page; and verdicts asked for the other way round."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.errors import InvalidRequest

if TYPE_CHECKING:
    from service.cli.places import Place
    from service.evaluation.report.schema import Report

FailIfOption = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC>LIMIT", help="What must not be, such as 'fid>30'; may be repeated."),
]
MarkdownOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the report as Markdown, for a pull request.")
]
JUnitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML, a test for each check.")
]
HTMLOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page with plots and samples.")
]

NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_CONDITION = re.compile(r"\s*([^<>=]+?)\s*(<=|>=|<|>)\s*([^<>=]+?)\s*")


def thresholds_of(thresholds: str | None, fail_if: Sequence[str]) -> str | None:
    """What must hold, from what must hold and what must not be. Raises InvalidRequest."""
    words = [word for text in fail_if for word in text.split(",")]
    return ",".join([*([thresholds] if thresholds else []), *map(_negated, words)]) or None


def _negated(condition: str) -> str:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise InvalidRequest(f"--fail-if {condition!r}: write it as METRIC>LIMIT, such as fid>1.")
    return f"{found[1]}{NEGATED[found[2]]}{found[3]}"


def write_renderings(
    report: "Report",
    place: "Place",
    *,
    markdown: Path | None = None,
    junit: Path | None = None,
    html: Path | None = None,
) -> None:
    """Write those forms of the report that have a file."""
    from service.evaluation.rendering.junit import render_junit
    from service.evaluation.rendering.markdown import render_markdown

    if markdown is not None:
        markdown.write_text(render_markdown(report), "utf-8")
    if junit is not None:
        junit.write_text(render_junit(report), "utf-8")
    if html is not None:
        html.write_text(place.page(report), "utf-8")
