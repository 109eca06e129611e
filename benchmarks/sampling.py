"""Images per second through `/generate` against the generator alone on the same cores, and what a large zip weighs.

    python -m benchmarks.sampling [--model gan-mnist] [--cores 1] [--rounds 5] [--memory-count 100000]

Service, generator and reader are held to the same cores and measured in turn, the generator before and after every
reading of the service, so that whatever else the machine does meets both alike. Ratios are printed of the images a
second, and of the images a second of processor time, which other programs disturb less; each to the generator as it is
built and to the generator as an engine holds it, its batch normalisation folded into the convolutions. One core is the
usual choice: threads of one forward pass wait for each other, and where other programs hold one of them up nothing else
is measured.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import torch

from benchmarks.load.machine import machine
from service.nets.folding import fold
from service.nets.registry import open_net
from service.processes.memory import keep_memory
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.generate import latents

BATCHES = (16, 32, 64, 128, 256)
ASKED = (("npz", 1000), ("npy", 1000), ("png", 1000), ("zip", 1000), ("npz", 10_000), ("zip", 10_000))
ALONE_S = 0.4
"""For which the generator draws alone, before and after each reading."""
PIECE = 1 << 16
POLL_S = 0.02
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ROLES = ("front", "engine")


class Rate(NamedTuple):
    """Images a second, and images a second of processor time."""

    wall: float
    processor: float


@dataclass
class Running:
    """A service that has been started, and its processes."""

    port: int
    process: subprocess.Popen[bytes]
    roles: dict[str, list[int]] = field(default_factory=dict)

    def processor_s(self) -> float:
        """What its fronts and engines have used so far, in seconds."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pids in self.roles.values() for pid in pids) / TICK

    def resident(self) -> int:
        """Bytes of memory that its fronts and engines hold."""
        pids = [pid for pids in self.roles.values() for pid in pids]
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE

    def draw(self, model: str, kind: str, count: int, *, stop_after: int | None = None, stopped_s: float = 0) -> int:
        """The bytes of an answer, read and thrown away; `stop_after` so many the reader pauses, then hangs up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = json.dumps({"model": model, "count": count, "seed": 1, "format": kind})
        connection.request("POST", "/generate", body, {"content-type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        read = 0
        while piece := reply.read1(PIECE):
            read += len(piece)
            if stop_after is not None and read > stop_after:
                time.sleep(stopped_s)
                break
        connection.close()
        return read


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gan-mnist")
    parser.add_argument("--cores", type=int, default=1, help="how many of them everything is held to")
    parser.add_argument("--threads", type=int, help="torch threads of the engine; as many as cores unless given")
    parser.add_argument("--rounds", type=int, default=5, help="readings of each kind; the median is printed")
    parser.add_argument("--memory-count", type=int, default=100_000, help="images of the zip; 0 leaves it out")
    options = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    cores = allowed[-options.cores :]
    os.sched_setaffinity(0, cores)  # children inherit it
    keep_memory()  # as engines do
    model = ModelStore(Settings().shipped_models_dir).get(options.model, task="generate")
    print(
        f"{model.id} {model.version} · {len(cores)} of {len(allowed)} cores · torch {torch.__version__} · {machine()}"
    )
    alone = {"alone": Alone(model, len(cores)), "alone, folded": Alone(model, len(cores), folded=True)}
    for name, generator in alone.items():
        print(f"{name}, images/s by batch: {generator.survey()}; best {generator.batch}")
    with _service(model.id, options.threads or len(cores)) as service:
        _compare(service, model.id, alone, options.rounds)
        if options.memory_count:
            _weigh(service, model.id, options.memory_count)


class Alone:
    """The generator in this process, at its best batch size: as it is built, or `folded` as an engine holds it."""

    def __init__(self, model: Model, threads: int, *, folded: bool = False) -> None:
        torch.set_num_threads(threads)
        self._net = open_net(model.manifest.net, model.manifest.options, model.weights)
        if folded:
            fold(self._net)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # faster for both
        self._latent = model.manifest.latent
        self.batch = BATCHES[0]

    def survey(self) -> str:
        """Images a second at every batch size; the best one is kept."""
        rates: dict[int, float] = {}
        for self.batch in BATCHES * 2:
            rates[self.batch] = max(rates.get(self.batch, 0.0), self.measure().wall)
        self.batch = max(rates, key=lambda batch: rates[batch])
        return " · ".join(f"{batch}: {rate:,.0f}" for batch, rate in rates.items())

    @torch.inference_mode()
    def measure(self) -> Rate:
        """Images from latents that are there already; as floats, no pixel made of them."""
        z = torch.from_numpy(latents(0, 0, self.batch, self._latent))
        self._net(z)
        began, processor, runs = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < ALONE_S:
            self._net(z)
            runs += 1
        drawn = runs * self.batch
        return Rate(drawn / (time.perf_counter() - began), drawn / (time.process_time() - processor))


def _compare(service: Running, model: str, alone: dict[str, Alone], rounds: int) -> None:
    heads = [f"{what}{name}" for name in alone for what in ("to ", "by processor time to ")]
    print(f"\n| format | images | images/s | {' | '.join(heads)} |\n|---|---|---|{'---|' * len(heads)}")
    for kind, count in ASKED:
        rates, ratios = [], []
        for _ in range(rounds):
            before = [generator.measure() for generator in alone.values()]
            rate = _through(service, model, kind, count)
            after = [generator.measure() for generator in alone.values()]
            rates.append(rate.wall)
            ratios.append(
                [
                    2 * ours / (first + last)
                    for pair in zip(before, after, strict=True)
                    for ours, first, last in zip(rate, *pair, strict=True)
                ]
            )
        middle = [f"{statistics.median(column):.2f}" for column in zip(*ratios, strict=True)]
        print(f"| {kind} | {count:,} | {statistics.median(rates):,.0f} | {' | '.join(middle)} |", flush=True)


def _through(service: Running, model: str, kind: str, count: int) -> Rate:
    """One answer of the service, the reader's processor time counted in."""
    began, processor = time.perf_counter(), service.processor_s() + time.process_time()
    service.draw(model, kind, count)
    seconds = time.perf_counter() - began
    return Rate(count / seconds, count / (service.processor_s() + time.process_time() - processor))


def _weigh(service: Running, model: str, count: int) -> None:
    service.draw(model, "zip", 1000)
    before = service.resident()
    with _watched(service.resident) as seen:
        read = service.draw(model, "zip", count)
    print(
        f"\na zip of {count:,}, {read / 1e6:,.0f} MB: front and engine together hold {before / 1e6:,.0f} MB before it, "
    )
    print(f"at most {(max(seen) - before) / 1e6:,.1f} MB more while it is drawn")
    before = service.resident()
    with _watched(service.resident) as seen:
        service.draw(model, "zip", count, stop_after=1_000_000, stopped_s=5)
    used = service.processor_s()
    time.sleep(2)
    print(f"a reader that stops for 5 s and hangs up: at most {(max(seen) - before) / 1e6:,.1f} MB more,")
    print(f"and {service.processor_s() - used:.2f} s of work in the 2 s after it")


@contextmanager
def _watched(look: Callable[[], int]) -> Iterator[list[int]]:
    """What was seen, again and again, until the end."""
    seen, over = [look()], threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@contextmanager
def _service(model: str, threads: int) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        given = {"PORT": "0", "STATE_DIR": folder, "FRONTS": "1", "THREADS": str(threads), "DEFAULT_GENERATOR": model}
        environment = os.environ | {f"CHAPTERHOUSE_{name}": value for name, value in given.items()}
        log = Path(folder) / "log"
        with log.open("wb") as written:
            command = [sys.executable, "-m", "service", "serve"]
            process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
        try:
            running = Running(_wait_until_ready(log), process)
            running.roles = {role: _children(process.pid, role) for role in ROLES}
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_ready(log: Path) -> int:
    for _ in range(1200):
        time.sleep(0.1)
        words = log.read_text().partition("serving on http://127.0.0.1:")[2]
        if "\n" not in words:
            continue
        port = int(words.partition("\n")[0])
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/ready"):
                return port
        except OSError:
            continue
    sys.exit(f"The service is not ready:\n{log.read_text()}")


def _children(parent: int, role: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if int(_stat(pid)[1]) == parent and role in words:
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _stat(pid: int) -> list[str]:
    """The fields of a process's state, from the third on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    main()
