"""Where the processor time of a request goes: py-spy looks at front and engine while they are under load.

    python -m benchmarks.peers.profile [--write before|now] [--source CHECKOUT] [--seconds 6]

A share is that of the samples in which the innermost frame lay in a file, times what the process used for a request
while nobody looked.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.load.machine import machine
from benchmarks.peers.bodies import bodies
from benchmarks.peers.closed import load, write_script
from benchmarks.peers.registry import ENVIRONMENTS, PEERS, ROOT
from benchmarks.peers.running import Server, marked, processor_s, running
from benchmarks.peers.writing import read_record, write_record

SAMPLER = {"py-spy": ("py-spy>=0.4",)}
MODEL, CONNECTIONS = "lenet5-mnist", 64
ROLES = ("front", "engine")
RATE = 400
WARM_S = 3
LEAST_SHARE = 0.02
RUNS = ("before", "now")

Profile = dict[str, dict[str, float]]


def main() -> None:
    """Look, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", choices=RUNS)
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout whose service it is")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no server is left behind
    with tempfile.TemporaryDirectory(prefix="profile-") as directory:
        found = profile(Path(directory), options.source.resolve(), options.seconds)
    print(json.dumps(found, indent=1))
    if options.write:
        record = read_record()
        record.setdefault("profile", {})[options.write] = {"machine": machine(), "microseconds": found}
        write_record(record)


def profile(folder: Path, source: Path, seconds: float) -> Profile:
    """Microseconds of a request by role and file."""
    asked = bodies(MODEL)
    with running(PEERS["chapterhouse"], MODEL, folder, asked[0], threads=1, source=source) as server:
        script = write_script(folder, server, asked)
        load(server, script, CONNECTIONS, WARM_S)
        used = {role: sum(map(processor_s, of_role(server, role))) for role in ROLES}
        told = load(server, script, CONNECTIONS, seconds)
        requests = max(1.0, told.requests_per_s * seconds)
        costs = {role: 1e6 * (sum(map(processor_s, of_role(server, role))) - used[role]) / requests for role in ROLES}
        samplers = [sampler(pid, folder / f"{role}-{pid}", seconds) for role in ROLES for pid in of_role(server, role)]
        load(server, script, CONNECTIONS, seconds + 1)
        for process in samplers:
            process.wait(60)
    return {
        role: spread(costs[role], [line for file in folder.glob(f"{role}-*") for line in file.read_text().splitlines()])
        for role in ROLES
    }


def of_role(server: Server, role: str) -> list[int]:
    """The processes of one role."""
    return [
        pid for pid in marked(server.mark) if role in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    ]


def sampler(pid: int, written: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """py-spy beside one process, which it does not stop."""
    program = ENVIRONMENTS / "py-spy" / "bin" / "py-spy"
    command: list[Any] = [program, "record", "--nonblocking", "--format", "raw", "--output", written, "--pid", pid]
    command += ["--rate", RATE, "--duration", round(seconds)]
    return subprocess.Popen([str(word) for word in command], stdout=sys.stderr, stderr=sys.stderr)


def spread(cost: float, lines: list[str]) -> dict[str, float]:
    """What a request costs, by the file of the innermost frame; the small ones together."""
    samples: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        samples[place_of(stack.rpartition(";")[2])] += int(count)
    whole = max(1, samples.total())
    large = {place: cost * count / whole for place, count in samples.most_common() if count / whole >= LEAST_SHARE}
    return {"all": cost, **large, "the rest": cost - sum(large.values())}


def place_of(frame: str) -> str:
    """`name (/…/service/api/gate.py:12)` to `service/api/gate.py`, what lies elsewhere to its package."""
    file = frame.rpartition(" (")[2].partition(":")[0].rstrip(")")
    if "service/" in file and "site-packages" not in file:
        return "service/" + file.rpartition("service/")[2]
    if "site-packages/" in file:
        file = file.rpartition("site-packages/")[2]
    return file.partition("/")[0] or file.lstrip("/").rpartition("/")[2]


if __name__ == "__main__":
    main()
