"""`chapterhouse state`: whether the state directory is sound, a copy of it, and the way back from one."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.reporting import EXIT_FAILED, fail_clearly, say
from service.settings import read_settings

app = typer.Typer(help="The state directory: database, uploads, references and reports.", no_args_is_help=True)


@app.command("check")
@fail_clearly
def check() -> None:
    """Look for damage of the database, uploads of nobody and missing files; exits 2 where something is wrong."""
    from service.evaluation.upkeep.check import findings

    settings = read_settings()
    found = list(findings(settings))
    for finding in found:
        say(finding)
    if found:
        raise typer.Exit(EXIT_FAILED)
    say(f"{settings.state} is sound; `chapterhouse models verify` looks at the models.")


@app.command("backup")
@fail_clearly
def backup(
    file: Annotated[Path, typer.Argument(help="A file to write, such as state.tar or state.tar.gz.")],
    models: Annotated[bool, typer.Option(help="Also the models that were fetched or added.")] = True,
) -> None:
    """Copy the state directory into one file, also while the service runs."""
    from service.evaluation.upkeep.backup import back_up

    size = back_up(read_settings(), file, models=models)
    say(f"{file}  {size:,} bytes")


@app.command("restore")
@fail_clearly
def restore(
    file: Annotated[Path, typer.Argument(help="What `chapterhouse state backup` has written.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is there now to a folder `replaced-…` in the state directory.")
    ] = False,
) -> None:
    """Bring the state directory back as it was, while no service works in it."""
    from service.evaluation.upkeep.backup import restore as bring_back

    settings = read_settings()
    aside = bring_back(settings, file, replace=replace)
    say(f"{settings.state} is as it was" + (f"; what was there is in {aside}" if aside else ""))
