"""`chapterhouse serve`: the whole service on this machine."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from service.errors import ConfigurationError
from service.settings import Settings, read_settings, share_metrics


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve over HTTP until SIGTERM or Ctrl-C. Every setting is an environment variable CHAPTERHOUSE_<NAME>."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    try:
        settings = read_settings(**given)
    except ConfigurationError as error:
        typer.echo(f"chapterhouse: {error}", err=True)
        sys.exit(2)
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
        metrics_dir = Path(directory) / "metrics"
        share_metrics(metrics_dir)
        sys.exit(_supervise(settings, Path(directory), metrics_dir))


def _supervise(settings: Settings, runtime_dir: Path, metrics_dir: Path) -> int:
    import asyncio

    from service.supervisor import Supervisor, bind
    from service.telemetry.logs import configure_logging

    configure_logging("supervisor", settings.log_level)

    async def run() -> int:
        with bind(settings) as listening:
            return await Supervisor(settings, listening, runtime_dir, metrics_dir).run()

    try:
        return asyncio.run(run())
    except ConfigurationError as error:
        typer.echo(f"chapterhouse: {error}", err=True)
        return 2
