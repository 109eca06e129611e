"""`chapterhouse evaluate`: how good generated samples are, and whether they are good enough."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import completion
from service.cli.places import ServerOption, place_of
from service.cli.renderings import (
    FailIfOption,
    HTMLOption,
    JUnitOption,
    MarkdownOption,
    thresholds_of,
    write_renderings,
)
from service.cli.reporting import EXIT_RED, JSONOption, fail_clearly, print_json, print_table, say
from service.errors import InvalidRequest
from service.schemas import SEED_LIMIT, Inconclusive

if TYPE_CHECKING:
    from service.evaluation.report.schema import Check, MetricEntry, Report


@fail_clearly
def evaluate(
    generated: Annotated[
        Path, typer.Argument(help="Samples to judge: zip, tar, tar.gz, npy or npz file, or a directory of images.")
    ],
    reference: Annotated[
        Path | None, typer.Argument(help="Real samples to compare with, likewise; or see --reference-name.")
    ] = None,
    reference_name: Annotated[
        str | None,
        typer.Option(help="A stored reference to compare with instead.", autocompletion=completion.references),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="What to measure, such as fid,mmd; the usual ones unless given.", autocompletion=completion.metrics
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC.NAME=VALUE", help="An option of a metric, such as mmd.sigma=10; may be repeated."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="The extractor that looks at the images; the reference's own unless given.",
            autocompletion=completion.models,
        ),
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="What must hold, such as 'fid<=1' or 'fid<=1,mmd<=0.1'.")
    ] = None,
    fail_if: FailIfOption = None,
    inconclusive: Annotated[
        Inconclusive | None,
        typer.Option(help="What a check counts as whose interval lies on both sides; its value decides unless given."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="ID|FILE",
            help="What no metric may be worse than: an evaluation's id on the server, or a report that --json printed.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=SEED_LIMIT, help="Of everything that is drawn: halves, splits.")] = 0,
    intervals: Annotated[
        bool, typer.Option("--intervals/--no-intervals", help="Compute uncertainty where the metric allows.")
    ] = True,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Make unreadable files a warning instead of an error.")
    ] = False,
    server: ServerOption = None,
    as_json: JSONOption = False,
    markdown: MarkdownOption = None,
    junit: JUnitOption = None,
    html: HTMLOption = None,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Longest wait for the report; no limit unless given.")
    ] = None,
) -> None:
    """Measure generated samples against real ones.

    Exits 0 when the verdict is green or none was asked for, 1 when it is red, 2 when it could not be reached.
    """
    from service.cli.progress import Meter

    if (reference is None) == (reference_name is None):
        raise InvalidRequest("Give REFERENCE or --reference-name NAME, and not both.")
    compared = reference_name if reference is None else reference
    assert compared is not None
    with place_of(server) as place, Meter("evaluate") as meter:
        report = place.evaluate(
            generated,
            compared,
            metrics=metrics,
            options=_options(option or []),
            features=features,
            thresholds=thresholds_of(thresholds, fail_if or ()),
            inconclusive=inconclusive,
            baseline=_baseline(baseline, server),
            seed=seed,
            intervals=intervals,
            skip_unreadable=skip_unreadable,
            wait_s=wait,
            on_progress=meter.show_share,
        )
        write_renderings(report, place, markdown=markdown, junit=junit, html=html)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show(report)
    if report.verdict is not None and not report.verdict.passed:
        raise typer.Exit(EXIT_RED)


def show(report: "Report") -> None:
    """Print a report for people."""
    real = report.reference
    name = f"{real.name} ({real.dataset})" if real.name else "the reference sent"
    say(f"{_counted(report.generated.count)} against {_counted(real.count)} of {name}")
    weights = f" {report.features.weights_sha256[:12]}" if report.features.weights_sha256 else ""
    say(f"{report.features.dim} features of {report.features.extractor}{weights}, seed {report.seed}")
    rows = [(name, *_cells(entry)) for name, entry in report.metrics.items()]
    print_table(("metric", ">value", ">interval", ">noise floor", "details"), rows)
    for warning in report.warnings:
        say(f"warning: {warning}")
    if report.verdict is not None:
        for check in report.verdict.checks:
            value = "it has no value" if check.value is None else f"it is {check.value:.6g}"
            say(f"{'held  ' if check.passed else 'failed'}  {check.threshold}  ({value}{_difference(check)})")
        say(f"verdict: {'green' if report.verdict.passed else 'red'}")


def _counted(count: int | None) -> str:
    return "statistics" if count is None else f"{count:,} samples"


def _cells(entry: "MetricEntry") -> tuple[str, str, str, str]:
    interval = "–" if entry.interval is None else f"{entry.interval[0]:.6g} … {entry.interval[1]:.6g}"
    floor = "–" if entry.noise_floor is None else f"{entry.noise_floor.value:.6g}"
    details = (f"{name} {_brief(value)}" for name, value in (entry.model_extra or {}).items())
    return f"{entry.value:.6g}", interval, floor, ", ".join(details)


def _baseline(baseline: str | None, server: str | None) -> str | None:
    """What names the earlier evaluation where this one is made: a server knows it by its id."""
    from service.evaluation.report.history import ReportFiles

    if baseline is None or server is None or not Path(baseline).is_file():
        return baseline
    return ReportFiles().report(baseline).id


def _difference(check: "Check") -> str:
    compared = check.baseline
    if compared is None:
        return ""
    within = "" if compared.interval is None else f", {compared.interval[0]:+.6g} … {compared.interval[1]:+.6g}"
    return f"; {compared.difference:+.6g} from {compared.value:.6g}{within}"


def _brief(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _options(words: list[str]) -> dict[str, dict[str, str]]:
    options: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        metric, dot, option = name.partition(".")
        if not (equals and dot and metric and option):
            raise InvalidRequest(f"--option {word!r}: write it as METRIC.NAME=VALUE, such as mmd.sigma=10.")
        options.setdefault(metric.strip(), {})[option.strip()] = value.strip()
    return options
