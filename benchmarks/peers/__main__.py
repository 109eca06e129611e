"""The service beside its peers in one run, in rounds that take turns: docs/benchmarks.md is written from it.

    python -m benchmarks.peers [--peers chapterhouse,mosec,…] [--models lenet5-mnist,…] [--seconds 3] [--rounds 2]

Each server serves the same weights and is asked with the same image files; that all give the same labels is seen before
anything is timed. The load is a closed loop by wrk at 1, 16, 64 and 256 connections, and in the last round an open loop
at 10, 30 and 60 % of the most that the server did before, and at rates that are the same for all who can bear them: 30
and 60 % of what the best of the peers did in the first round. Server and client share the machine. Nothing is written
without `--write`. `python -m benchmarks.peers.install` installs the peers.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.machine import instructions, interpreter, machine
from benchmarks.peers.alone import alone
from benchmarks.peers.bodies import bodies
from benchmarks.peers.closed import load, write_script
from benchmarks.peers.goals import others
from benchmarks.peers.page import CONNECTIONS, tables
from benchmarks.peers.registry import OURS, PEERS, ROOT, USUAL, chosen, python_of
from benchmarks.peers.running import DoesNotServe, Server, running
from benchmarks.peers.writing import read_record, write_record
from service.machine import cores

MODELS = ("lenet5-mnist", "nin-cifar10")
SHARES = (0.1, 0.3, 0.6)
SAME = (0.3, 0.6)
"""Of the best peer's capacity, where all are offered the same that did as much."""
WARM_S = 1
REASON = 300
"""As much of why a server was not measured as the page holds."""
VERSION = "import sys, importlib.metadata as m; print(*(m.version(name) for name in sys.argv[1:]))"
INSTALLED = "import sys, importlib.util as u; print(*(name for name in sys.argv[1:] if u.find_spec(name)))"


class Run:
    """What is compared, and what was found of it."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._labels: dict[str, list[str]] = {}
        self.record: dict[str, Any] = {
            "machine": f"{machine()}; {instructions()}; {interpreter()}",
            "versions": {},
            "rounds": options.rounds,
            "seconds": options.seconds,
            "threads": {model: threads_for(model) for model in options.models},
            "agreed": {},
            "absent": {},
            "closed": {model: {} for model in options.models},
            "open": {model: {} for model in options.models},
            "same": {model: {} for model in options.models},
            "alone": {},
        }

    def all(self) -> None:
        """Every round of every server, and the nets without one."""
        self.rounds()
        for model in self._options.models:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PEER_THREADS": str(threads_for(model))}
            self.record["alone"][model] = alone(model, environment)

    def rounds(self) -> None:
        """Every server in turn, and again."""
        for turn in range(self._options.rounds):
            for model in self._options.models:
                for name in self._options.peers:
                    self.one(name, model, turn)

    def one(self, name: str, model: str, turn: int) -> None:
        """One round of one server; a server that cannot be measured is told, and left out from then on."""
        peer, folder = PEERS[name], self._folder / name / model
        if name in self.record["absent"] or (peer.models and model not in peer.models):
            return
        asked, began = bodies(model), time.monotonic()
        try:
            versions = versions_of(name)
            with running(peer, model, folder, asked[0], threads=threads_for(model)) as server:
                if name in OURS and turn == 0:
                    time.sleep(self._options.settle)
                self.compare(server, model, asked)
                self.measure(server, name, folder, asked, last=turn == self._options.rounds - 1)
        except (DoesNotServe, OSError, subprocess.CalledProcessError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            self.record["absent"][name] = _reason(lines)
            print(f"{name} · {model}: {error}", file=sys.stderr, flush=True)
            return
        self.record["versions"].update(versions)
        print(f"{name} · {model} · round {turn + 1}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    def compare(self, server: Server, model: str, asked: list[bytes]) -> None:
        """Hold its labels to those of the first. Raises DoesNotServe where they differ."""
        if not server.peer.judges:
            return
        found = server.labels(asked)
        first = self._labels.setdefault(model, found)
        if differing := [number for number, pair in enumerate(zip(first, found, strict=True)) if pair[0] != pair[1]]:
            raise DoesNotServe(f"its labels are others than those of the first server for the images {differing}")
        self.record["agreed"][model] = len(found)

    def measure(self, server: Server, name: str, folder: Path, asked: list[bytes], *, last: bool) -> None:
        """One reading at each number of connections, and the open loop where it is its turn."""
        script, seconds = write_script(folder, server, asked), self._options.seconds
        load(server, script, 64, WARM_S)
        rows = [asdict(load(server, script, connections, seconds)) for connections in CONNECTIONS]
        self.record["closed"][server.model].setdefault(name, []).append(rows)
        if not last or not self._options.open:
            return
        capacity = max(row["requests_per_s"] for row in rows)
        self.record["open"][server.model][name] = [
            {"share": share, **call(server, folder, len(asked), share * capacity, seconds)} for share in SHARES
        ]
        best = self.best(server.model)
        if best is not None and capacity >= max(SAME) * best:
            self.record["same"][server.model][name] = [
                {"share": share, **call(server, folder, len(asked), share * best, seconds)} for share in SAME
            ]

    def best(self, model: str) -> float | None:
        """What the best peer with a net did at most in the first round; None while that goes on, or without peers."""
        if self._options.rounds == 1:
            return None
        closed = self.record["closed"][model]
        rates = [float(row["requests_per_s"]) for name in others(self.record, model) for row in closed[name][0]]
        return max(rates, default=None)


def _reason(lines: list[str]) -> str:
    """The first and the last of what an error says, without where this checkout lies."""
    return " … ".join(dict.fromkeys((lines[0], lines[-1]))).replace(f"{ROOT}/", "")[:REASON]


def call(server: Server, folder: Path, count: int, per_s: float, seconds: float) -> dict[str, Any]:
    """The open loop, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.opened", str(server.port), server.target, server.peer.media]
    command += [str(folder), str(count), str(per_s), str(seconds)]
    said = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def threads_for(model: str) -> int:
    """Those of the peers' torch: one for a small net, which is quickest so; all cores for a large one."""
    return 1 if "lenet" in model else cores()


def versions_of(name: str) -> dict[str, str]:
    """The versions of what is measured. Raises CalledProcessError where it is not installed."""
    peer = PEERS[name]

    def told(*words: str) -> list[str]:
        said = subprocess.run([python_of(peer), "-c", *words], capture_output=True, text=True, check=True)
        return said.stdout.split()

    wanted = (*peer.versions, *told(INSTALLED, *peer.extras))
    return dict(zip(wanted, told(VERSION, *wanted), strict=True))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=list(USUAL), type=chosen, help=f"all, or some of {', '.join(PEERS)}")
    parser.add_argument("--models", type=listed, default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each reading")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--settle", type=float, default=15.0, help="seconds left to the service to find its forms in")
    parser.add_argument("--open", action=argparse.BooleanOptionalAction, default=True, help="the open loop, too")
    parser.add_argument("--write", action="store_true", help="docs/benchmarks.json and the page")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("this needs wrk (Debian package `wrk`)")
    return options


def listed(words: str) -> list[str]:
    """Words between commas."""
    return words.split(",")


def main() -> int:
    """Compare, print the tables, and write them where asked."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no server is left behind
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as directory:
        run = Run(options, Path(directory))
        with suppress(KeyboardInterrupt):
            run.all()
    kept = {name: found for name, found in read_record().items() if name in ("profile", "throughput")}
    record = {**run.record, **kept}
    print(tables(record))
    if options.write:
        write_record(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
