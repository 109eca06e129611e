"""The command line: `chapterhouse <command>`. Each command imports what it needs when it runs."""

import typer

from service.cli.serve import serve

app = typer.Typer(
    name="chapterhouse",
    help="Serve the classic networks of deep learning's textbook chapters, and measure generative models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)


@app.callback()
def _commands() -> None:
    """Keep `serve` a word of its own, however many commands there are."""
