"""Write docs/metrics.md: every metric, what it tells, what it needs, its options and its parts.

    python -m experiments.metrics            # write the page
    python -m experiments.metrics --print    # print it

All of it is said by the metrics themselves, in `service/metrics/`.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.evaluation.report.thresholds import EVERY_METRICS_PARTS
from service.metrics.description import Description, describe
from service.metrics.registry import METRICS
from service.metrics.uncertainty import FEWEST_WITH_INTERVAL

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"
COMMAND = "python -m experiments.metrics"
HEAD = f"""# Metrics

What `POST /evaluate` and `chapterhouse evaluate` can measure. Written by `{COMMAND}` from the metrics
themselves; `chapterhouse metrics list` prints the same, with `--json` for programs. The formula of each, and its paper,
stand at the top of its file in [service/metrics/](../service/metrics); how long they take beside other tools and beside
their matrix products alone, and what counts as such, in [benchmarks-metrics.md](benchmarks-metrics.md).

*Features* are what an extractor makes of the samples (a request's `features` names it), or your own; *statistics* are
their mean and covariance; *probabilities* come from an extractor that is a classifier. A sample's *ball* reaches to its
k-th nearest neighbour in its own set. A value compares only with values of the same extractor and, unless it is
unbiased, of the same number of samples. Below {FEWEST_WITH_INTERVAL} samples a side no metric has an interval. Where
a request names no metrics, these are measured, as far as both sides bring what they need:
{{defaults}}.
"""
OPTIONS = """## Options

Written `metric.option`: in a form beside the files (`-F mmd.sigma=10`), on the command line as `--option mmd.sigma=10`.
"""
PARTS = """## Parts

What a report holds beside a metric's value. A threshold may name those that are numbers (`one_nn.real<=0.6`), and of
every metric {every}.
"""


def render(metrics: Sequence[Description]) -> str:
    """The whole page."""
    defaults = [f"`{metric.name}`" for metric in metrics if metric.is_default]
    every = [f"`{part}`" for part in EVERY_METRICS_PARTS]
    parts = (
        (HEAD.format(defaults=_listed(defaults)), _overview(metrics)),
        (OPTIONS, _options(metrics)),
        (PARTS.format(every=_listed(every)), _parts(metrics)),
    )
    return "\n".join(f"{head}\n" + "".join(f"{row}\n" for row in rows) for head, rows in parts)


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _overview(metrics: Sequence[Description]) -> Iterator[str]:
    yield _row("metric", "what it measures", "better", "needs", "samples", "when to use it")
    yield f"|{'---|' * 6}"
    for metric in metrics:
        name = f"`{metric.name}`: {metric.title}"
        yield _row(name, metric.measures, metric.better, metric.needs, metric.samples, metric.use)


def _options(metrics: Sequence[Description]) -> Iterator[str]:
    yield _row("option", "default", "values", "what")
    yield f"|{'---|' * 4}"
    for metric in metrics:
        for option in metric.options:
            default = f"`{option.written}`" if option.written else ""
            yield _row(f"`{metric.name}.{option.name}`", default, option.values, option.description)


def _parts(metrics: Sequence[Description]) -> Iterator[str]:
    yield _row("part", "is", "what")
    yield f"|{'---|' * 3}"
    for metric in metrics:
        for kind, described in (("a number", metric.parts), ("words", metric.words)):
            for part, words in described.items():
                yield _row(f"`{metric.name}.{part}`", kind, words)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write, or print."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    page = render([describe(name) for name in METRICS])
    if parser.parse_args().print:
        print(page, end="")
    else:
        DOCUMENT.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
