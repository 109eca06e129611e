"""The command line: `chapterhouse <command>`. Each command imports what it needs when it runs."""

import typer

from service.cli import references
from service.cli.serve import serve
from service.cli.train import train

app = typer.Typer(
    name="chapterhouse",
    help="Serve the classic networks of deep learning's textbook chapters, and measure generative models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(train)
app.add_typer(references.app, name="references")


@app.callback()
def _commands() -> None:
    """Keep `serve` a word of its own, however many commands there are."""
