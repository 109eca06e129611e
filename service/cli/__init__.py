"""The command line: `chapterhouse <command>`. Each command imports what it needs when it runs."""

import atexit
import gc
import logging
from typing import Annotated

import typer

from service import __version__
from service.cli.commands import Commands

app = typer.Typer(
    name="chapterhouse",
    cls=Commands,
    help="Serve the classic networks of deep learning's textbook chapters, and measure generative models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chapterhouse {__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from service.environment import calm_linear_algebra

    calm_linear_algebra()  # before any command loads numpy
    atexit.register(gc.freeze)  # what the program ends with goes with it: a last search of it takes longer than a label
    # What goes wrong is said in one sentence; `serve` and its processes have a log of their own.
    logging.getLogger("service").addHandler(logging.NullHandler())
