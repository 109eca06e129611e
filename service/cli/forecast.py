"""`chapterhouse forecast`: how a series in a file goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.completion import models
from service.cli.places import ServerOption, place_of
from service.cli.reporting import JSONOption, complain, fail_clearly, print_json, say

if TYPE_CHECKING:
    from service.forecast_words import ForecastChoice
    from service.schemas import ForecastReply


@fail_clearly
def forecast(
    series: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON: a row a step, a column a channel.")],
    horizon: Annotated[int, typer.Option("--horizon", "-n", min=1, help="How many steps to go on.")],
    model: Annotated[
        str | None, typer.Option(help="A forecaster; the default one unless given.", autocompletion=models)
    ] = None,
    fit: Annotated[bool, typer.Option("--fit", help="Fit the model's readout to this very series.")] = False,
    inputs: Annotated[
        Path | None, typer.Option(help="CSV or JSON: what is known of every step of series and horizon.")
    ] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.99, help="Share of values that the interval should hold.")] = (
        0.95
    ),
    season: Annotated[
        int | None,
        typer.Option(min=1, help="Steps after which the series comes again, 1 for none; looked for unless given."),
    ] = None,
    server: ServerOption = None,
    as_json: JSONOption = False,
) -> None:
    """Print the next steps as CSV: the value of every channel and its interval; choice and warnings on stderr."""
    from service.datasets.series_files import read_series

    history, known = read_series(series), None if inputs is None else read_series(inputs)
    with place_of(server) as place:
        answer = place.forecast(history, horizon, model=model, fit=fit, inputs=known, level=level, season=season)
    if answer.choice is not None:
        complain(f"{series}: {_chosen(answer.choice)}")
    for warning in answer.warnings:
        complain(f"{series}: {warning}")
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    for line in _lines(answer):
        say(line)


def _chosen(choice: "ForecastChoice") -> str:
    """What was chosen, in words."""
    of = "logarithms" if choice.logarithm else "values"
    changes = {"none": "", "first": "changes from step to step of ", "seasonal": "changes from season to season of "}
    season = "no season" if choice.season is None else f"a season of {choice.season} steps"
    by = "by their mean" if choice.penalty is None else f"by a readout of penalty {choice.penalty:g}"
    return f"{changes[choice.difference]}{of} are forecast {by}; {season}"


def _lines(answer: "ForecastReply") -> Iterator[str]:
    channels = range(len(answer.forecast[0]))
    parts = ["value"] if answer.interval is None else ["value", "low", "high"]
    yield ",".join(["step", *(f"{part}_{channel}" for channel in channels for part in parts)])
    columns = [answer.forecast]
    if answer.interval is not None:
        columns += [answer.interval.low, answer.interval.high]
    for step, rows in enumerate(zip(*columns, strict=True), start=1):
        yield ",".join([str(step), *(_cell(row[channel]) for channel in channels for row in rows)])


def _cell(value: Any) -> str:
    return "" if value is None else repr(value)
