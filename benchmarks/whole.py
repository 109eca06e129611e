"""The whole of `/evaluate` beside its extractor alone, and what FID takes of memory as the samples grow.

    python -m benchmarks.whole time [--model nin-cifar10] [--images 10000] [--metrics fid,kid] [--rounds 2]
    python -m benchmarks.whole memory [--sizes 10000,100000] [--dimensions 512]

`time` starts a service whose engine has every core, stores a reference of training images, and sends test images, as a
zip of PNGs and as an npz, with one `POST /evaluate` each. The extractor alone is a process with the same net, blocks
and threads, which has the decoded images in memory; only its forward passes are timed. Reading alone is another, which
makes samples of the zip. They take turns, and the best of the rounds counts; each is told as it ends. After the first
round none begins that would end later than `--budget` seconds after the program's start, judged by the round before.
CPU seconds, of all of a service, tell more than the clock where a machine is busy. Where the extractor has every core,
what is read and extracted takes no less than both alone: blocks are those of all images in the order of their digests,
so that nothing is extracted before the last one is read. What is more than that is measuring, figures and the report.

`memory` evaluates FID in a process of its own for every size: features that were sent, and images through LeNet-5. The
peak is that of anonymous memory, which a machine must have; pages of files that are mapped are the system's to drop.
Settings of the environment (CHAPTERHOUSE_…) are passed on, but for the port, the state directory and the threads.
"""

import argparse
import asyncio
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.load.service import Service as Running
from service.client.sending import Bearer
from service.datasets.registry import find_dataset
from service.environment import calm_linear_algebra
from service.evaluation.extraction import extract_features
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import References
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.spool import ImageShape
from service.imaging import Pixels, encode_png
from service.machine import cores, processor
from service.processes.memory import keep_memory
from service.runtime.in_process import LocalEngine
from service.schemas import EvaluationRequest
from service.settings import Settings, read_settings
from service.store import ModelStore

PATIENCE_S = 3600.0
CORES = cores()
REFERENCE = "real"
EXTRACTOR_OF_MEMORY = "lenet5-mnist"
"""Quick, and its 84 features make 100,000 samples a matter of minutes."""
SAMPLED_S = 0.005

Measurement = Callable[[], dict[str, Any]]


def processor_s(pid: int) -> float:
    """CPU seconds of a process and of its children, dead or alive."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if pid in (int(folder.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Service:
    """A running service, asked to evaluate."""

    def __init__(self, url: str, pid: int, model: str, state: Path) -> None:
        self._pid = pid
        self._model = model
        self._http = httpx.Client(
            base_url=url,
            timeout=PATIENCE_S,
            headers={"prefer": "wait=600"},
            auth=Bearer(url, None, Settings(state_dir=state)),
        )
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if self._http.get("/health/ready").status_code == 200:
                    return
            time.sleep(0.2)
        raise TimeoutError("the service is not ready")

    def store(self, images: Pixels) -> None:
        """Keep the reference."""
        files = {"reference": packed_npz(images)}
        answer = self._http.put(f"/references/{REFERENCE}", files=files, data={"features": self._model})
        self._over(answer)

    def evaluate(self, upload: bytes, metrics: str | None, seed: int) -> dict[str, Any]:
        """Seconds of one evaluation by the clock and of all processors, and its report."""
        fields = {"reference_name": REFERENCE, "seed": str(seed), **({"metrics": metrics} if metrics else {})}
        busy, began = processor_s(self._pid), time.perf_counter()
        report = self._over(self._http.post("/evaluate", files={"generated": upload}, data=fields))
        return {
            "seconds": time.perf_counter() - began,
            "processor_s": processor_s(self._pid) - busy,
            "report": report,
        }

    def _over(self, answer: httpx.Response) -> dict[str, Any]:
        """What an answer promises, when it is there."""
        while answer.status_code == 202:
            time.sleep(0.5)
            answer = self._http.get(answer.headers["location"])
            if answer.json()["status"] in ("queued", "running"):
                answer.status_code = 202
                answer.headers["location"] = f"/evaluations/{answer.json()['id']}"
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


def packed_zip(images: Pixels) -> bytes:
    """A zip of PNGs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(images):
            archive.writestr(f"{number:06}.png", encode_png(image))
    return stream.getvalue()


def packed_npz(images: Pixels) -> bytes:
    """An npz."""
    stream = io.BytesIO()
    np.savez(stream, images=images)
    return stream.getvalue()


async def forward_alone(settings: Settings, model_id: str, file: Path) -> dict[str, float]:
    """Seconds of the extractor on images that it has in memory, with every core."""
    images = np.load(file)
    store = ModelStore.of(settings)
    keep_memory()  # as engines do
    async with LocalEngine(store, device="cpu", threads=CORES) as engine:
        await engine.load(model_id)
        await extract_features(engine, store.get(model_id), images[:256])
        busy, began = time.process_time(), time.perf_counter()
        await extract_features(engine, store.get(model_id), images)
        return {"seconds": time.perf_counter() - began, "processor_s": time.process_time() - busy}


def read_alone(settings: Settings, model_id: str, file: Path) -> dict[str, float]:
    """Seconds of making samples of an upload."""
    shape = ImageShape.of(ModelStore.of(settings).get(model_id).input)
    limits = Limits(settings.upload_limit_bytes, settings.image_limit_pixels)
    with tempfile.TemporaryDirectory(prefix="chapterhouse-whole-") as directory:
        busy, began = time.process_time(), time.perf_counter()
        open_samples(file, working_dir=Path(directory), shape=shape, limits=limits)
        return {"seconds": time.perf_counter() - began, "processor_s": time.process_time() - busy}


def apart(*arguments: str) -> dict[str, Any]:
    """What this program prints with these arguments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.whole", *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def show_time(options: argparse.Namespace) -> None:
    """Print the extractor's and the evaluations' seconds, and how many times the one the others are."""
    began, settings = time.perf_counter(), read_settings()
    dataset = find_dataset(ModelStore.of(settings).get(options.model).manifest.dataset)
    images = dataset.load(settings.data, "test").images[: options.images]
    uploads = {"zip of PNGs": packed_zip(images), "npz": packed_npz(images)}
    with tempfile.TemporaryDirectory(prefix="chapterhouse-whole-") as directory:
        np.save(file := Path(directory) / "images.npy", images)
        (archive := Path(directory) / "images.zip").write_bytes(uploads["zip of PNGs"])
        with Running(Path(directory), THREADS=CORES, PRELOAD=options.model) as running:
            service = Service(running.url, running.pid, options.model, Path(directory) / "state")
            service.store(dataset.load(settings.data, "train").images[: options.images])
            seeds = count()  # the very same inputs are not computed again
            turns: dict[str, Measurement] = {
                "extractor alone": lambda: apart("alone", "--model", options.model, "--file", str(file)),
                "reading alone": lambda: apart("read", "--model", options.model, "--file", str(archive)),
            }
            for name, upload in uploads.items():
                turns[f"/evaluate, {name}"] = partial(evaluate_anew, service, upload, options.metrics, seeds)
            best = best_of(turns, options.rounds, until=began + options.budget)
    alone = best["extractor alone"]
    print(f"{len(images):,} images through {options.model}, {CORES} threads; {processor()}")
    for name, found in best.items():
        print(
            f"  {name:<24}{found['seconds']:8.2f} s {found['seconds'] / alone['seconds']:6.3f} ×"
            f"{found['processor_s']:8.2f} CPU s {found['processor_s'] / alone['processor_s']:6.3f} ×"
        )
        if "report" in found:
            steps = sorted(found["report"]["timing"].items(), key=lambda step: -step[1])
            print(" " * 26 + ", ".join(f"{step} {seconds:.2f}" for step, seconds in steps if seconds >= 0.01))
    floor = 1 + best["reading alone"]["seconds"] / alone["seconds"]
    floor_processor = 1 + best["reading alone"]["processor_s"] / alone["processor_s"]
    print(f"  no less for the zip than both alone: {floor:.3f} ×, {floor_processor:.3f} × by CPU seconds")


def evaluate_anew(service: Service, upload: bytes, metrics: str | None, seeds: Iterator[int]) -> dict[str, Any]:
    """One evaluation with a seed of its own."""
    return service.evaluate(upload, metrics, next(seeds))


def best_of(turns: Mapping[str, Measurement], rounds: int, *, until: float) -> dict[str, dict[str, Any]]:
    """What each measurement found at best, in turns: the whole first round, and later what ends in time as before."""
    best: dict[str, dict[str, Any]] = {}
    took: dict[str, float] = {}
    for name, measure in list(turns.items()) * rounds:
        started = time.perf_counter()
        if started + took.get(name, -math.inf) > until:
            break
        keep_best(best, name, found := measure())
        took[name] = time.perf_counter() - started
        print(f"  {name}: {found['seconds']:.2f} s, {found['processor_s']:.2f} CPU s", flush=True)
    return best


def keep_best(best: dict[str, dict[str, Any]], name: str, found: dict[str, Any]) -> None:
    """Of the rounds, the quickest by each clock."""
    known = best.setdefault(name, found)
    busy = min(known["processor_s"], found["processor_s"])
    best[name] = {**min(known, found, key=lambda one: one["seconds"]), "processor_s": busy}


@contextmanager
def anonymous_peak() -> Iterator[Callable[[], float]]:
    """The most megabytes of anonymous memory so far, looked at every few milliseconds."""
    peak, over = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.wait(SAMPLED_S):
            status = Path("/proc/self/status").read_text()
            peak = max(peak, int(status.split("RssAnon:")[1].split()[0]))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: peak / 1024
    finally:
        over.set()
        watcher.join()


async def measure_memory(settings: Settings, kind: str, size: int, dimensions: int) -> dict[str, float]:
    """The peak of an evaluation of FID, in this process."""
    store = ModelStore.of(settings)
    request = EvaluationRequest(metrics=("fid",), features=EXTRACTOR_OF_MEMORY)
    with tempfile.TemporaryDirectory(prefix="chapterhouse-whole-") as name:
        directory = Path(name)
        for place, side in enumerate(("generated", "reference")):
            write_set(directory / side, kind, size, dimensions, seed=place)
        async with LocalEngine(store, device="cpu", threads=1) as engine:
            await engine.load(EXTRACTOR_OF_MEMORY)
            with anonymous_peak() as megabytes:
                report = await evaluate(
                    request,
                    Bench(settings, store, engine, References.of(settings)),
                    report_id="memory",
                    generated=directory / "generated",
                    reference=directory / "reference",
                    working_dir=directory,
                    on_figures=lambda _: None,
                )
                return {"megabytes": megabytes(), "fid": report.metrics["fid"].value}


def write_set(file: Path, kind: str, size: int, dimensions: int, *, seed: int) -> None:
    """An npy of noise, or an npz of features, written in pieces so that this process never holds it."""
    rng = np.random.default_rng(seed)
    shape = (size, dimensions) if kind == "features" else (size, 28, 28)
    rows = np.lib.format.open_memmap(
        file.with_suffix(".npy"), "w+", np.float32 if kind == "features" else np.uint8, shape
    )
    for start in range(0, size, 1000):
        part = rng.standard_normal((min(1000, size - start), *shape[1:])) + seed
        rows[start : start + 1000] = part if kind == "features" else (32 * part + 128).clip(0, 255)
    del rows
    if kind == "images":
        file.with_suffix(".npy").rename(file)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.write(file.with_suffix(".npy"), "features.npy")
    file.with_suffix(".npy").unlink()


def show_memory(options: argparse.Namespace) -> None:
    """Print the peaks of both kinds at every size."""
    for kind, words in (("features", f"features of {options.dimensions}"), ("images", "28×28 images through LeNet-5")):
        print(f"FID of {words}, as many a side")
        for size in options.sizes.split(","):
            asked = ("peak", "--kind", kind, "--images", size, "--dimensions", str(options.dimensions))
            found = apart(*asked)
            print(f"  {int(size):>9,} {found['megabytes']:8.0f} MB   fid {found['fid']:.6g}", flush=True)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "memory", "alone", "read", "peak"))
    parser.add_argument("--model", default="nin-cifar10")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--metrics", help="the service's default ones unless given")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--budget", type=float, default=200.0, help="seconds within which further rounds begin")
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> None:
    """Measure what is asked for."""
    options = options_of()
    calm_linear_algebra()
    if options.what == "time":
        show_time(options)
    elif options.what == "memory":
        show_memory(options)
    elif options.what == "alone":
        print(json.dumps(asyncio.run(forward_alone(read_settings(), options.model, options.file))))
    elif options.what == "read":
        print(json.dumps(read_alone(read_settings(), options.model, options.file)))
    else:
        asked = measure_memory(read_settings(), options.kind, options.images, options.dimensions)
        print(json.dumps(asyncio.run(asked)))


if __name__ == "__main__":
    main()
