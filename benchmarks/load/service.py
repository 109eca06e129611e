"""A service of its own under load: its processes by role, what they hold, and what is left when it has gone."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from benchmarks.load.wire import Address
from service.evaluation.queue.uploads import Uploads

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "service", "serve")
PATIENCE_S = 300.0
SHARED_MEMORY = Path("/dev/shm")
SEGMENTS = Path("/proc/sysvipc/shm")


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the service."""

    pid: int
    role: str

    @property
    def memory_kib(self) -> int:
        """What it holds for itself: neither its program's files nor pages of the cache. 0 where it is gone."""
        with suppress(OSError):
            status = (Path("/proc") / str(self.pid) / "status").read_text()
            return sum(int(size) for size in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", status, re.MULTILINE))
        return 0

    @property
    def descriptors(self) -> int:
        """How many descriptors it has open."""
        with suppress(OSError):
            return len(list((Path("/proc") / str(self.pid) / "fd").iterdir()))
        return 0


class Service:
    """A running service over a folder of its own; its settings are those of the environment and `further`.

    `source` is the checkout whose service it is.
    """

    def __init__(
        self, folder: Path, *, source: Path = ROOT, program: Sequence[str] = PROGRAM, **further: object
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        self._segments = _segments()
        settings = {f"CHAPTERHOUSE_{name}": str(given) for name, given in further.items()}
        environment = {
            **os.environ,
            **settings,
            "CHAPTERHOUSE_PORT": "0",
            "CHAPTERHOUSE_STATE_DIR": str(self.state),
            "PYTHONPATH": str(source),
            "TMPDIR": str(self._temporary),
        }
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(program, cwd=source, env=environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text("utf-8", errors="replace")

    @property
    def address(self) -> Address:
        """Where it listens."""
        until = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"serving on http://([\d.]+):(\d+)", self.log)):
            assert time.monotonic() < until, self.log
            assert self._process.poll() is None, self.log
            time.sleep(0.1)
        return found[1], int(found[2])

    @property
    def url(self) -> str:
        """The same as an address of HTTP."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def bearer(self) -> dict[str, str]:
        """What shows that a caller may change what the service holds: the token that it writes for this machine."""
        with suppress(OSError):
            return {"authorization": f"Bearer {(self.state / 'tokens' / str(self.address[1])).read_text().strip()}"}
        return {}

    def wait_until_ready(self) -> None:
        """Wait until every wanted model is warm."""
        url, until = self.url, time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/health/ready", timeout=10).status_code == 200:
                    return
            assert time.monotonic() < until, self.log[-5000:]
            time.sleep(0.1)

    def processes(self) -> Iterator[Process]:
        """Every process that was started for this service and runs."""
        mine = f"CHAPTERHOUSE_STATE_DIR={self.state}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mine in (folder / "environ").read_bytes().split(b"\0") and not _is_dead(folder):
                    yield Process(int(folder.name), _role((folder / "cmdline").read_bytes().decode().split("\0")))

    def of_role(self, role: str) -> list[Process]:
        """The processes of one role."""
        return [process for process in self.processes() if process.role == role]

    def signal(self, process: Process, number: signal.Signals) -> bool:
        """Send a signal; whether there was somebody to take it."""
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
            return True
        return False

    def memory_mib(self) -> dict[str, float]:
        """Mebibytes by role, of one process on average."""
        return {role: kib / 1024 for role, kib in self._average("memory_kib").items()}

    def descriptors(self) -> dict[str, float]:
        """Open descriptors by role, of one process on average."""
        return self._average("descriptors")

    def _average(self, what: str) -> dict[str, float]:
        sums: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        for process in self.processes():
            if found := getattr(process, what):
                sums[process.role] += found
                counts[process.role] += 1
        return {role: sums[role] / counts[role] for role in sorted(sums)}

    def left_behind(self) -> list[str]:
        """What should not be there any more once the service has gone: processes, files, segments of shared memory.

        Uploads that a killed process was receiving lie until the service sweeps them, when nobody has written to them
        for long; so they are made that old and swept as a running service would.
        """
        uploads = self.state / "uploads"
        for path in uploads.rglob("*"):
            os.utime(path, (0, 0))
        Uploads(self.state).sweep(wanted=())
        processes = [f"the {process.role} {process.pid}" for process in self.processes()]
        temporary = [str(path) for path in self._temporary.rglob("*")]
        files = [*(uploads.iterdir() if uploads.is_dir() else ()), *self.state.rglob("*.part")]
        return [*processes, *temporary, *map(str, files), *sorted(_segments() - self._segments)]


def _segments() -> set[str]:
    """Segments of shared memory on this machine: POSIX's by name, System V's by number."""
    named = {str(path) for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()
    lines = SEGMENTS.read_text().splitlines()[1:] if SEGMENTS.is_file() else []
    return named | {f"segment {line.split()[1]}" for line in lines}


def _is_dead(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _role(words: list[str]) -> str:
    if "service.processes.reader" in words:
        return "reader"
    named = [word for word in words if word in ("front", "engine", "evaluator")]
    return named[0] if named else "supervisor"
