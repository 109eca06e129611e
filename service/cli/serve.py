"""`chapterhouse serve`: the whole service on this machine."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.cli.reporting import fail_clearly
from service.environment import share_metrics
from service.errors import ConfigurationError
from service.settings import Settings, doubts_about_environment, read_settings

log = logging.getLogger(__name__)


@fail_clearly
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would run and what is wrong with it, and start nothing.")
    ] = False,
) -> None:
    """Serve over HTTP until SIGTERM or Ctrl-C. Every setting is an environment variable, too: docs/settings.md."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = read_settings(**given)
    if check:
        _say_what_would_run(settings)
        return
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
        metrics_dir = Path(directory) / "metrics"
        share_metrics(metrics_dir)
        raise typer.Exit(_supervise(settings, Path(directory), metrics_dir))


def _say_what_would_run(settings: Settings) -> None:
    from service.processes.checking import check, plan_of

    for line in plan_of(settings):
        typer.echo(line)
    found = list(check(settings))
    for finding in found:
        typer.echo(f"{'WRONG' if finding.prevents else 'doubt'}        {finding.words}")
    if any(finding.prevents for finding in found):
        raise ConfigurationError("The service would not start: see what is WRONG above.")
    typer.echo("The service would start.")


def _supervise(settings: Settings, runtime_dir: Path, metrics_dir: Path) -> int:
    import asyncio

    from service.processes.supervisor import Supervisor, bind
    from service.processes.tokens import local_token
    from service.telemetry.logs import configure_logging

    configure_logging("supervisor", settings.log_level, settings.log_format)
    for doubt in doubts_about_environment():
        log.warning(doubt)

    async def run() -> int:
        with bind(settings) as listening:
            supervisor = Supervisor(settings, listening, runtime_dir, metrics_dir)
            with local_token(settings, listening.getsockname()[1]):
                return await supervisor.run()

    return asyncio.run(run())
