"""Requests per second, p50 and p99 of LeNet-5: Chapterhouse, a plain FastAPI endpoint, and torch alone, in one run.

    python benchmarks/serving.py [--seconds 4] [--rounds 2] [--json FILE]

The load comes from `wrk` (closed loop, one thread) on 127.0.0.1, so servers and client share the machine's cores.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import torch

from service.imaging import encode_png
from service.machine import cores
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.classify import normalise

CONNECTIONS = (1, 16, 64, 256)
MODEL = "lenet5-mnist"
BATCHES = (1, 16, 64, 128, 256)
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
SCRIPT = """
local file = io.open("{image}", "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
wrk.headers["Content-Type"] = "image/png"
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one server did at one number of connections."""

    server: str
    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of load for each reading")
    parser.add_argument("--rounds", type=int, default=2, help="readings of each kind; the median is printed")
    parser.add_argument("--json", type=Path, help="write the readings to this file, too")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("benchmarks/serving.py needs wrk (Debian package `wrk`).")
    model = ModelStore(Settings().shipped_models_dir).get(MODEL)
    print(f"{MODEL} {model.version} · {cores()} cores · torch {torch.__version__} · one 28×28 PNG a request\n")
    readings = []
    with tempfile.TemporaryDirectory() as directory:
        script = _write_script(Path(directory))
        for _ in range(options.rounds):
            with _chapterhouse(Path(directory)) as url:
                readings += _load("Chapterhouse", url, script, options.seconds)
            with _plain() as url:
                readings += _load("plain FastAPI", url, script, options.seconds)
    alone = torch_alone(model)
    medians = _medians(readings)
    print(_table(medians))
    print(f"\ntorch alone, one thread, best batch: {max(alone.values()):,.0f} images/s  ", end="")
    print(" · ".join(f"{batch}: {rate:,.0f}" for batch, rate in alone.items()))
    if options.json:
        options.json.write_text(json.dumps({"readings": [asdict(row) for row in medians], "torch": alone}, indent=1))


def torch_alone(model: Model) -> dict[int, float]:
    """Images per second of normalising and forwarding on one thread, by batch size."""
    net = build_net(model.manifest.net, model.manifest.options)
    load_weights(net, model.weights)
    net.eval()
    torch.set_num_threads(1)
    rates = {}
    for batch in BATCHES:
        images = torch.zeros(batch, *model.input.size, model.input.channels, dtype=torch.uint8)
        with torch.inference_mode():
            for _ in range(5):
                net(normalise(images, model.input)).softmax(dim=1)
            began, runs = time.perf_counter(), 0
            while time.perf_counter() - began < 1.0:
                net(normalise(images, model.input)).softmax(dim=1)
                runs += 1
        rates[batch] = runs * batch / (time.perf_counter() - began)
    return rates


def _write_script(directory: Path) -> Path:
    image = directory / "image.png"
    digit = np.random.default_rng(0).random((28, 28, 1)) * 255 * (np.indices((28, 28)).sum(0) % 5 == 0)[..., None]
    image.write_bytes(encode_png(digit.astype(np.uint8)))
    script = directory / "post.lua"
    script.write_text(SCRIPT.format(image=image))
    return script


@contextmanager
def _chapterhouse(directory: Path) -> Iterator[str]:
    port = _free_port()
    settings = {"CHAPTERHOUSE_PORT": str(port), "CHAPTERHOUSE_STATE_DIR": str(directory / "state")}
    with _server([sys.executable, "-m", "service", "serve"], settings, port, "/health/ready") as url:
        yield url


@contextmanager
def _plain() -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "plain:create_app", "--port", str(port)]
    with _server([*command, "--no-access-log", "--app-dir", str(Path(__file__).parent)], {}, port, "/docs") as url:
        yield url


@contextmanager
def _server(command: list[str], settings: dict[str, str], port: int, ready: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                if httpx.get(url + ready).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _load(server: str, url: str, script: Path, seconds: int) -> list[Reading]:
    _wrk(url, 16, script, 1)
    readings = []
    for connections in CONNECTIONS:
        text = _wrk(url, connections, script, seconds)
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        readings.append(
            Reading(
                server,
                connections,
                float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
                _milliseconds(text, "50%"),
                _milliseconds(text, "99%"),
                int(failed[1]) if failed else 0,
            )
        )
    return readings


def _wrk(url: str, connections: int, script: Path, seconds: int) -> str:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), f"{url}/classify"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _milliseconds(text: str, percentile: str) -> float:
    found = re.findall(rf"{percentile}\s+([\d.]+)(us|ms|s)", text)
    return float(found[0][0]) * UNITS_MS[found[0][1]]


def _medians(readings: list[Reading]) -> list[Reading]:
    medians = []
    for server in dict.fromkeys(reading.server for reading in readings):
        for connections in CONNECTIONS:
            same = [row for row in readings if (row.server, row.connections) == (server, connections)]
            middle = (
                statistics.median(getattr(row, name) for row in same) for name in ("requests_per_s", "p50_ms", "p99_ms")
            )
            rate, p50, p99 = middle
            medians.append(Reading(server, connections, rate, p50, p99, sum(row.failed for row in same)))
    return medians


def _table(readings: list[Reading]) -> str:
    head = ["| server | connections | requests/s | p50 ms | p99 ms | failed |", "|---|---|---|---|---|---|"]
    rows = [
        f"| {row.server} | {row.connections} | {row.requests_per_s:,.0f} | {row.p50_ms:.2f} | {row.p99_ms:.2f} "
        f"| {row.failed} |"
        for row in readings
    ]
    return "\n".join(head + rows)


if __name__ == "__main__":
    main()
