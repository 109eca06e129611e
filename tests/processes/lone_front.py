"""One front by itself, as the supervisor starts it, with as much address space as it is given."""

import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from serving import add_untrained
from waiting import PATIENCE_S, until

from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.settings import Settings


@dataclass(eq=False)
class LoneFront:
    """A front that runs. Nobody answers for its engines."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log_file: Path

    def kibibytes(self, what: str) -> int:
        """What `/proc` says of its memory: VmSize, VmRSS."""
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text("utf-8"))
        assert found, f"{what} is not told: it has ended\n{self.log}"
        return int(found[1])

    def cap(self, further_bytes: int) -> None:
        """Let it have so much more address space than it has now, and not a byte beyond."""
        most = self.kibibytes("VmSize") * 1024 + further_bytes
        resource.prlimit(self.process.pid, resource.RLIMIT_AS, (most, most))

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_file.read_text("utf-8")


def _lives(front: LoneFront) -> bool:
    """Whether it answers; it says nothing of that itself."""
    host, port = front.address
    with suppress(OSError), urlopen(f"http://{host}:{port}/health/live", timeout=PATIENCE_S) as reply:
        return bool(reply.status == 200)
    return False


@contextmanager
def lone_front(folder: Path, **settings: object) -> Iterator[LoneFront]:
    """A front over a store and a state of its own, until the context ends."""
    add_untrained(folder / "models_store")
    given = {
        "MODELS_DIR": folder / "models_store",
        "STATE_DIR": folder / "state",
        "DEFAULT_CLASSIFIER": "lenet5-none",
        "DEFAULT_FORECASTER": "murmur",
        **settings,
    }
    migrate(Database.of(Settings(state_dir=folder / "state")))
    metrics = folder / "metrics"
    metrics.mkdir()
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    read, write = os.pipe()
    nowhere = str(folder / "nobody.sock")
    places = ["--sockets", nowhere, "--control", nowhere, "--metrics-dir", str(metrics)]
    inherited = ["--parent-pipe", str(read), "--listen-fd", str(listening.fileno())]
    log_file = folder / "front.log"
    with pytest.MonkeyPatch.context() as environment, log_file.open("wb") as log:
        environment.setenv("PROMETHEUS_MULTIPROC_DIR", str(metrics))
        for name, value in given.items():
            environment.setenv(f"CHAPTERHOUSE_{name}", str(value))
        for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            environment.delenv(name, raising=False)  # what counts lines takes memory of its own
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "front", *inherited, *places],
            stdout=log,
            stderr=log,
            pass_fds=(read, listening.fileno()),
        )
    front = LoneFront(process, listening.getsockname(), log_file)
    try:
        until(lambda: process.poll() is not None or _lives(front))
        yield front
    finally:
        listening.close()
        process.kill()
        process.wait(PATIENCE_S)
        os.close(read)
        os.close(write)
