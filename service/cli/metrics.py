"""`chapterhouse metrics`: what can be measured, and what to know before choosing."""

import shutil
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.completion import metrics
from service.cli.reporting import WIDTH_ELSEWHERE, JSONOption, fail_clearly, print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.metrics.description import Description

INDENT = 12

app = typer.Typer(help="The metrics of generative models.", no_args_is_help=True)


@app.callback()
def _metrics() -> None:
    """Keep `list` a word of its own, although it is the only one."""


@app.command("list")
@fail_clearly
def list_metrics(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[METRIC]...", help="All of them unless some are named.", autocompletion=metrics),
    ] = None,
    as_json: JSONOption = False,
) -> None:
    """List the metrics: what each measures, which way it gets better, what it needs, its options and its parts."""
    from service.metrics.description import describe
    from service.metrics.registry import METRICS

    described = [describe(name) for name in names or METRICS]
    if as_json:
        print_json({"metrics": [asdict(metric) for metric in described]})
        return
    for metric in described:
        say(f"{metric.name}  {metric.title}{'; measured unless others are named' if metric.is_default else ''}")
        for name, words in _facts(metric):
            say(_folded(name, words))
        say("")


def _facts(metric: "Description") -> "Iterator[tuple[str, str]]":
    yield "measures", metric.measures
    yield "better", metric.better
    yield "needs", metric.needs
    yield "samples", metric.samples
    yield "use", metric.use
    for option in metric.options:
        default = f"{option.written} unless set" if option.written else "Not set by itself"
        yield "option", f"{metric.name}.{option.name}: {option.description} {default}; {option.values}."
    for part, words in metric.parts.items():
        yield "part", f"{metric.name}.{part}: {words}"
    for part, words in metric.words.items():
        yield "in words", f"{metric.name}.{part}: {words}"


def _folded(name: str, words: str) -> str:
    """One fact, in as many lines as the terminal needs."""
    width, _ = shutil.get_terminal_size((WIDTH_ELSEWHERE, 24))
    return textwrap.fill(f"  {name:<{INDENT - 2}}{words}", max(width, 40), subsequent_indent=" " * INDENT)
