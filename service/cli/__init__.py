"""The command line: `chapterhouse <command>`. Each command imports what it needs when it runs."""

import logging
from typing import Annotated

import typer

from service import __version__
from service.cli import data, keys, metrics, models, references, state
from service.cli.bench import bench
from service.cli.calibrate import calibrate
from service.cli.classify import classify
from service.cli.evaluate import evaluate
from service.cli.forecast import forecast
from service.cli.generate import generate
from service.cli.reporting import say
from service.cli.serve import serve
from service.cli.train import train
from service.settings import calm_linear_algebra

app = typer.Typer(
    name="chapterhouse",
    help="Serve the classic networks of deep learning's textbook chapters, and measure generative models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (serve, train, calibrate, evaluate, generate, classify, forecast, bench):
    app.command()(command)
app.add_typer(models.app, name="models")
app.add_typer(metrics.app, name="metrics")
app.add_typer(data.app, name="data")
app.add_typer(references.app, name="references")
app.add_typer(keys.app, name="keys")
app.add_typer(state.app, name="state")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"chapterhouse {__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    calm_linear_algebra()  # before any command loads numpy
    # What goes wrong is said in one sentence; `serve` and its processes have a log of their own.
    logging.getLogger("service").addHandler(logging.NullHandler())
