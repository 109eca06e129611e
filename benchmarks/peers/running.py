"""A server that runs: started with a mark in its processes' environment, asked until it answers, ended with them all.

The mark finds also those processes that leave their parent, as those of Ray do.
"""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.machine import free_ports
from benchmarks.peers.registry import ROOT, Peer, Place, python_of

MARK = "PEER_MARK"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 180.0
GRACE_S = 20.0


class DoesNotServe(Exception):
    """A server did not come up, or answers something else than an answer."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    peer: Peer
    model: str
    port: int
    mark: str

    @property
    def target(self) -> str:
        """Path and query."""
        return self.peer.path(self.model)

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", self.target, self.peer.wrap(body), {"content-type": self.peer.media})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def labels(self, bodies: Sequence[bytes]) -> list[str]:
        """What it sees in each. Raises DoesNotServe."""
        found = []
        for body in bodies:
            status, reply = self.ask(body)
            if status != 200:
                raise DoesNotServe(f"{self.peer.title} answers {status}: {reply[:500]!r}")
            found.append(self.peer.label(reply))
        return found

    def processor_s(self) -> float:
        """What all its processes have used so far."""
        return sum(map(processor_s, marked(self.mark)))


def marked(mark: str) -> list[int]:
    """The processes that were started with this mark, wherever they hang."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def processor_s(pid: int) -> float:
    """Seconds of one process and of those children that it has waited for."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


@contextmanager
def running(
    peer: Peer, model: str, folder: Path, first: bytes, *, threads: int, source: Path = ROOT
) -> Iterator[Server]:
    """A server that has answered once, run in `folder`, which it may fill. Raises DoesNotServe."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(python_of(peer), model, free_ports(peer.ports), folder)
    server = Server(peer, model, place.port, f"{os.getpid()}-{place.port}")
    environment = {
        **os.environ,
        "PATH": f"{place.python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(source),
        "PEER_MODEL": model,
        "PEER_THREADS": str(threads),
        **peer.variables(place),
        MARK: server.mark,
    }
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            peer.command(place), cwd=folder, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    try:
        wait_for(server, process, first, log)
        yield server
    finally:
        end(process, server.mark)


def wait_for(server: Server, process: "subprocess.Popen[bytes]", first: bytes, log: Path) -> None:
    """Ask until there is an answer. Raises DoesNotServe."""
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError, http.client.HTTPException):
            if server.ask(first)[0] == 200:
                return
        time.sleep(0.1)
    raise DoesNotServe(f"{server.peer.title} does not answer:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def end(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Ask it to end, and see to it that nothing is left."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    for pid in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
