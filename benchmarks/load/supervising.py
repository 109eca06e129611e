"""A whole service whose children are a program of ours, which knows more than `python -m service` does."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from service.environment import share_metrics
from service.settings import Settings


def supervise(module: str) -> int:
    """Serve, with children that are this module, and know what it knows; the exit status."""
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
        metrics_dir = Path(directory) / "metrics"
        share_metrics(metrics_dir)  # before anything is imported that keeps them, or the supervisor's are not shared
        return asyncio.run(_supervise(Path(directory), metrics_dir, (sys.executable, "-m", module)))


async def _supervise(directory: Path, metrics_dir: Path, program: Sequence[str]) -> int:
    from service.processes.supervisor import Supervisor, bind
    from service.processes.tokens import local_token
    from service.telemetry.logs import configure_logging

    settings = Settings()
    configure_logging("supervisor", settings.log_level)
    with bind(settings) as listening, local_token(settings, listening.getsockname()[1]):
        return await Supervisor(settings, listening, directory, metrics_dir, program).run()
