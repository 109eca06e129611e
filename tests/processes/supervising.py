"""A supervisor in the test's own process, over children that do what the test wants."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from doubles import add_forecaster
from processes import stand_in
from waiting import PATIENCE_S

from service.processes.supervisor import Supervisor, bind
from service.settings import Settings


class Supervised:
    """One supervisor, what its children are to do, and what it tells of them."""

    def __init__(self, supervisor: Supervisor, wishes: Path) -> None:
        self.supervisor = supervisor
        self._wishes = wishes
        self.running = asyncio.create_task(supervisor.run())

    def wish(self, who: str, what: str) -> None:
        """Have the children of a role, or the engine of a device, do something from now on."""
        part = self._wishes / f"{who}.part"
        part.write_text(what)
        part.replace(self._wishes / who)

    def has_beaten(self, who: str) -> bool:
        """Whether the child of a role, or the engine of a device, has begun to beat."""
        return (self._wishes / f"{who}.beats").exists()

    def is_told_aside(self, who: str) -> str:
        """What the engine of a device was told to set aside."""
        return (self._wishes / f"{who}.beats").read_text()

    def sample(self, name: str, **labels: str) -> float | None:
        """What its metrics say."""
        return self.supervisor.instruments.registry.get_sample_value(f"chapterhouse_{name}", labels)

    async def stop(self) -> int:
        """Its exit status, once it was told to end."""
        if not self.running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(self.running, PATIENCE_S)


@asynccontextmanager
async def supervised(folder: Path, models_dir: Path, sockets: Path, **given: object) -> AsyncIterator[Supervised]:
    """A supervisor over stand-ins, which is told to end with the context; settings as they are given."""
    add_forecaster(models_dir)
    settings = Settings(
        models_dir=models_dir,
        state_dir=folder / "state",
        default_classifier="echo",
        default_generator="doodle",
        default_forecaster="murmur",
        port=0,
        fronts=1,
        evaluators=1,
        **given,  # type: ignore[arg-type]
    )
    wishes = folder / "wishes"
    wishes.mkdir()
    program = (sys.executable, stand_in.__file__, str(wishes))
    with bind(settings) as listening:
        running = Supervised(Supervisor(settings, listening, sockets, folder / "metrics", program), wishes)
        try:
            yield running
        finally:
            if not running.running.done():
                await running.stop()
