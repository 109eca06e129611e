"""A closed loop: so many connections, each of which asks again when it has its answer. The load is wrk's."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.running import Server

SCRIPT = """
local asked, turn = {{}}, 0
function init()
  for number = 1, {count} do
    local file = io.open(string.format("{folder}/body-%d", number), "rb")
    asked[number] = wrk.format("POST", "{target}", {{["content-type"] = "{media}"}}, file:read("*all"))
    file:close()
  end
end
function request()
  turn = turn % {count} + 1
  return asked[turn]
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('told {{"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}}',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Closed:
    """What one server did at one number of connections."""

    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    processor_us: float
    """Of all its processes together, a request."""


def write_script(folder: Path, server: Server, bodies: Sequence[bytes]) -> Path:
    """What wrk is told: all bodies in turn."""
    for number, body in enumerate(bodies, 1):
        (folder / f"body-{number}").write_bytes(server.peer.wrap(body))
    script = folder / "post.lua"
    text = SCRIPT.format(count=len(bodies), folder=folder, target=server.target, media=server.peer.media)
    script.write_text(text, "utf-8")
    return script


def load(server: Server, script: Path, connections: int, seconds: float) -> Closed:
    """Load it for so long."""
    used = server.processor_s()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
    said = subprocess.run([*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True)
    used = server.processor_s() - used
    [told] = [json.loads(line[5:]) for line in said.stdout.splitlines() if line.startswith("told ")]
    return Closed(
        connections,
        told["requests"] / told["seconds"],
        told["p50_ms"],
        told["p99_ms"],
        told["failed"],
        1e6 * used / max(1, told["requests"]),
    )
