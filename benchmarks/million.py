"""FID of a million images: what each process holds at its most, as the images grow in number.

    python -m benchmarks.million [--images 1000000] [--features lenet5-mnist] [--seed 0]

Images of 28×28 are drawn in chunks straight into an array on the disk, sent to a service of its own as any client
sends them, and compared with the shipped reference of MNIST's test images: a tenth of them, a half, and all. Every
process of the service is looked at five times a second. What it holds for itself is printed at its most, and beside it
what it has in view of files, which the system may take back at any time: images, their features, digests and orders
lie in such. What grows with the images is printed as bytes of each image.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import httpx
import numpy as np

from benchmarks.load.machine import machine
from benchmarks.load.service import Process, Service

REFERENCE = "mnist-test"
SHARES = (0.1, 0.5, 1.0)
SIDE = 28
CHUNK = 10_000
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 1.0
PATIENCE_S = 7200.0
MEBIBYTE = 1 << 20
FLAT_BYTES = 16
"""What a process may hold for each image more: flags and places of some moments. Digests and orders lie in files."""
UNREST_BYTES = 32 * MEBIBYTE
"""By how much the most differs from one evaluation to the next: figures and copies are looked for at the same time."""
OVER = ("finished", "failed", "cancelled")


class Held(NamedTuple):
    """The most that a process held at a time, in bytes."""

    own: int = 0
    in_view: int = 0
    """Of files."""


class Looking:
    """What the processes of each role hold at their most, while the context lasts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most: dict[str, Held] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            for process in self._service.processes():
                before = self.most.get(process.role, Held())
                now = Held(process.memory_kib * 1024, _in_view(process))
                self.most[process.role] = Held(*map(max, before, now))


class Row(NamedTuple):
    """One evaluation."""

    images: int
    fid: float
    seconds: float
    held: dict[str, Held]


def draw(file: Path, count: int, seed: int) -> None:
    """Images of strokes in noise, written as they are drawn."""
    rng = np.random.default_rng(seed)
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(count, SIDE, SIDE))
    for start in range(0, count, CHUNK):
        several = min(CHUNK, count - start)
        noise = rng.integers(0, 40, (several, SIDE, SIDE), np.uint8)
        at = rng.integers(4, SIDE - 6, (several, 2))
        for image, (row, column) in zip(noise, at, strict=True):
            image[row : row + 2, 4:-4] = 255
            image[4:-4, column : column + 2] = 255
        images[start : start + several] = noise
    images.flush()


def evaluate(service: Service, file: Path, features: str) -> tuple[float, float]:
    """The FID of a file's images, and the seconds from its first byte to the report."""
    began = time.monotonic()
    asked = {"metrics": "fid", "intervals": "false", "reference_name": REFERENCE, "features": features}
    with httpx.Client(base_url=service.url, timeout=PATIENCE_S) as client:
        with file.open("rb") as content:
            reply = client.post("/evaluate", files={"generated": content}, data=asked, headers={"prefer": "wait=0"})
        reply.raise_for_status()
        state = reply.json()
        while state["status"] not in OVER:
            assert time.monotonic() < began + PATIENCE_S, "it is not over"
            time.sleep(ASK_EVERY_S)
            state = client.get(f"/evaluations/{state['id']}").json()
    if state["status"] != "finished":
        raise SystemExit(f"the evaluation ended as {state}")
    return state["metrics"]["fid"]["value"], time.monotonic() - began


def measure(service: Service, folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    """An evaluation of each number of images."""
    file = folder / "images.npy"
    for share in SHARES:
        count = max(2, round(options.images * share))
        draw(file, count, options.seed)
        with Looking(service) as looking:
            fid, seconds = evaluate(service, file, options.features)
        row = Row(count, fid, seconds, looking.most)
        print(told(row), flush=True)
        yield row


def told(row: Row) -> str:
    """An evaluation in words."""
    held = ", ".join(
        f"{role} {_mib(most.own)} + {_mib(most.in_view)} of files" for role, most in sorted(row.held.items())
    )
    return f"{row.images:,} images in {row.seconds:.0f} s, FID {row.fid:.4f}; MiB at most: {held}"


def growth(rows: Sequence[Row]) -> dict[str, float]:
    """The bytes that each image more took of each role, from the half to the whole."""
    before, after = rows[-2], rows[-1]
    more = after.images - before.images
    return {role: (held.own - before.held.get(role, Held()).own) / more for role, held in after.held.items()}


def _mib(size: int) -> str:
    return f"{size / MEBIBYTE:.1f}"


def _in_view(process: Process) -> int:
    """The pages of files that a process has in view, its programs among them."""
    try:
        status = (Path("/proc") / str(process.pid) / "status").read_text()
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines.get("RssFile", "0").split()[0]) * 1024


def main() -> None:
    """Measure; it fails where what a process holds grows with the images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--features", default="lenet5-mnist", help="the extractor")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine(), flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="million-") as folder,
        Service(Path(folder) / "service", FRONTS=1, EVALUATORS=1, DEVICES="cpu") as service,
    ):
        rows = list(measure(service, Path(folder), options))
    grew, more = growth(rows), rows[-1].images - rows[-2].images
    for role, size in sorted(grew.items()):
        print(f"{role}: {size:.1f} bytes more for each image")
    if max(grew.values()) > FLAT_BYTES + UNREST_BYTES / more:
        sys.exit(f"a process took more than {FLAT_BYTES} bytes for each image more, beside {_mib(UNREST_BYTES)} MiB")
    print(f"no process took more than {FLAT_BYTES} bytes for each image more, beside {_mib(UNREST_BYTES)} MiB")


if __name__ == "__main__":
    main()
