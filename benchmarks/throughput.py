"""Images per second of each classifier through /classify beside torch alone at its best batch size, in one run.

    python -m benchmarks.throughput [--models nin-cifar10 …] [--seconds 4] [--rounds 3] [--write]

Both are counted per second of processor time: of torch alone that of its thread, of the service that of supervisor,
front and engine. So the client's share of the cores is taken out, and whatever else the machine does; so is the
evaluator, which only waits. Rounds alternate, and the best of each counts. Requests are forms of several images, so
many at a time that a batch is always full. A model that has no weights yet is measured with drawn ones, which take as
long.
"""

import argparse
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx
import numpy as np
import torch
from torch import nn

from benchmarks.load.machine import free_port, machine
from benchmarks.peers.writing import read_record, write_record
from service.client.sending import Bearer
from service.imaging import encode_png
from service.nets.layers import count_macs
from service.nets.registry import build_net
from service.nets.weights import load_weights, save_weights
from service.processes.memory import keep_memory
from service.settings import Settings
from service.store import Model
from service.tasks.classify import Classify
from service.training.train import example_of

BATCHES = (1, 4, 8, 16, 32, 64, 128)
CHAPTERS = (4, 5)
CONNECTIONS = 4
BOUNDARY = "image-after-image"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 300.0
RULE = "|---" * 7 + "|"


@dataclass(frozen=True, slots=True)
class Rates:
    """Images per second of processor time."""

    alone: dict[int, float]
    served: float
    client_share: float
    """The client's part of all processor time that a round took."""

    @property
    def best_batch(self) -> int:
        """The batch size at which torch alone is fastest."""
        return max(self.alone, key=lambda batch: self.alone[batch])

    @property
    def share(self) -> float:
        """What of torch's best the service delivers."""
        return self.served / self.alone[self.best_batch]

    def by_batch(self) -> str:
        """Torch alone at every batch size."""
        return " · ".join(f"{batch}: {rate:,.0f}" for batch, rate in self.alone.items())


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", help="all classifiers that are trained here unless given")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load for each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="the table into docs/benchmarks.md, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    measured = f"{machine()}. torch {torch.__version__}, one thread"
    lines = ["| model | MACs | torch alone | at batch | /classify | share | client's share of the cores |", RULE]
    print("\n".join([measured, "", *lines]))
    with tempfile.TemporaryDirectory(prefix="throughput-") as directory:
        models = filled_models(Path(directory) / "models")
        state = Settings(state_dir=Path(directory) / "state")
        with service(Path(directory)) as (url, process):
            bearer = Bearer(url, None, state)
            for model in models:
                if options.models and model.id not in options.models:
                    continue
                load_on(url, model, bearer)
                rates = compare(model, url, process, seconds=options.seconds, rounds=options.rounds)
                lines.append(row(model, rates))
                print(lines[-1], flush=True)
                print(rates.by_batch(), file=sys.stderr, flush=True)
    if options.write:
        write_record({**read_record(), "throughput": {"machine": measured, "lines": lines}})


def filled_models(folder: Path) -> list[Model]:
    """The classifiers of chapters 4 and 5 in a copy of the store, each with weights: its own, or drawn ones."""
    shutil.copytree(Settings().shipped_models_dir, folder)
    models = []
    for path in sorted(folder.glob("*/model.toml")):
        model = Model(path.parent)
        manifest = model.manifest
        if manifest.task != "classify" or manifest.chapter not in CHAPTERS or manifest.source is not None:
            continue
        if not model.weights.is_file():
            torch.manual_seed(0)
            save_weights(build_net(manifest.net, manifest.options), model.weights)
        models.append(model)
    return models


@contextmanager
def service(directory: Path) -> Iterator[tuple[str, int]]:
    """A running service over the store in `directory`: its address, and its process."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "STATE_DIR": str(directory / "state"),
        "MODELS_DIR": str(directory / "models"),
        "FRONTS": "1",
        "THREADS": "1",
    }
    environment = {**os.environ, **{f"CHAPTERHOUSE_{name}": value for name, value in settings.items()}}
    process = subprocess.Popen([sys.executable, "-m", "service", "serve"], env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == HTTPStatus.OK)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def compare(model: Model, url: str, process: int, *, seconds: float, rounds: int) -> Rates:
    """Both in turn, the best round of each."""
    net = build_net(model.manifest.net, model.manifest.options)
    load_weights(net, model.weights)
    net.eval()
    alone: dict[int, float] = dict.fromkeys(BATCHES, 0.0)
    served, share = 0.0, 0.0
    for _ in range(rounds):
        for batch in BATCHES:
            alone[batch] = max(alone[batch], torch_rate(net, model, batch, seconds / len(BATCHES)))
        rate, client = served_rate(model, url, process, images=int(seconds * max(alone.values())))
        served, share = max((served, share), (rate, client))
    return Rates(alone, served, share)


def load_on(url: str, model: Model, bearer: Bearer) -> None:
    """Have the service load the model, and wait for it."""
    httpx.post(f"{url}/models/{model.id}/load", auth=bearer, timeout=120).raise_for_status()
    wait_until(lambda: bool(httpx.get(f"{url}/models/{model.id}").json()["loaded"]))


def wait_until(holds: Callable[[], bool]) -> None:
    """Ask ten times a second. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if holds():
                return
        time.sleep(0.1)
    raise TimeoutError(f"The service was not there within {PATIENCE_S:.0f} s.")


def form_of(model: Model, count: int) -> bytes:
    """A form of so many PNGs of the model's own size."""
    spec = model.input
    pixels = np.random.default_rng(0).integers(0, 256, (*spec.size, spec.channels), dtype=np.uint8)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    part = f"{head}Content-Type: image/png\r\n\r\n".encode() + encode_png(pixels) + b"\r\n"
    return part * count + f"--{BOUNDARY}--\r\n".encode()


@torch.inference_mode()
def torch_rate(net: nn.Module, model: Model, batch: int, seconds: float) -> float:
    """Images per second of this thread's time, from stored pixels to logits."""
    task, spec = Classify(), model.input
    images = torch.zeros(batch, *spec.size, spec.channels, dtype=torch.uint8)
    task.forward(net, [images], model.manifest)
    began, runs = time.thread_time(), 0
    while runs == 0 or time.thread_time() - began < seconds:
        task.forward(net, [images], model.manifest)
        runs += 1
    return runs * batch / (time.thread_time() - began)


def served_rate(model: Model, url: str, process: int, *, images: int) -> tuple[float, float]:
    """Images per second of the service's time, and the client's share of all time.

    Whole batches are sent, so many at a time that none waits, and all answers are awaited: what is paid is delivered.
    """
    each = max(1, model.manifest.serving.max_batch // 2)
    body, requests = form_of(model, each), max(2 * CONNECTIONS, 2 * math.ceil(images / each / 2))
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    address = f"{url}/classify?model={model.id}&top_k=1"
    with httpx.Client(timeout=PATIENCE_S, headers=headers) as client, ThreadPoolExecutor(CONNECTIONS) as threads:

        def post(_: int) -> None:
            client.post(address, content=body).raise_for_status()

        for _ in threads.map(post, range(CONNECTIONS)):
            pass
        ours, theirs = time.process_time(), tree_time(process)
        for _ in threads.map(post, range(requests)):
            pass
        ours, theirs = time.process_time() - ours, tree_time(process) - theirs
    return requests * each / theirs, ours / (ours + theirs)


def tree_time(process: int) -> float:
    """Processor seconds of a process and its descendants so far, without the evaluator's."""
    if b"\0evaluator\0" in Path(f"/proc/{process}/cmdline").read_bytes():
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICKS
    children = Path(f"/proc/{process}/task/{process}/children").read_text("utf-8").split()
    return own + sum(tree_time(int(child)) for child in children)


def row(model: Model, rates: Rates) -> str:
    """A line of the table."""
    with torch.device("meta"):
        macs = count_macs(build_net(model.manifest.net, model.manifest.options), example_of(model.manifest).to("meta"))
    return (
        f"| `{model.id}` | {macs:,} | {rates.alone[rates.best_batch]:,.0f} | {rates.best_batch} | {rates.served:,.0f}"
        f" | {rates.share:.2f} | {rates.client_share:.0%} |"
    )


if __name__ == "__main__":
    main()
