"""How fast images reach an engine, one by one, in forms of 64 and in large blocks: by shared memory and by the socket.

    python -m benchmarks.feeding [--seconds 2] [--rounds 5] [--write]

An engine in another process has a net that does nothing, so that all it does is to take images and to answer. For large
blocks there is the link alone: what listens copies them as an engine gathers a batch, and answers two numbers a row.
Both are asked with memory to share and without it, in turns, and the best of each counts; so does a copy within this
process, the measure of all others. Rates are told by the clock and by the processor time of what takes the images: what
asks needs the other core of a machine with two.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from benchmarks.load.doubles import add_double
from benchmarks.load.machine import machine
from benchmarks.load.writing import put
from service.runtime.bundles import item_of
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.runtime.frames import FrameReader, MessageType, encode_bundle
from service.runtime.greeting import greeted
from service.runtime.link import Link
from service.runtime.listener import Listener
from service.runtime.work import Work

NAME = "nothing"
ROOT = Path(__file__).parents[1]
FORM = 64
FORMS_OPEN = 8
BLOCK_SHAPE = (64, 224, 224, 3)
BLOCKS_OPEN = 4
BUNDLES_OPEN = 8
MEMORY_BYTES = 64 << 20
PATIENCE_S = 120.0
GOALS = {"one by one": 60_000, "in forms of 64": 400_000, "blocks, MB": 3_000}
"""Images a second, and megabytes."""


class Rate(NamedTuple):
    """How much went a second, by the clock and by the processor time of what took it."""

    wall: float
    processor: float

    def best(self, other: "Rate") -> "Rate":
        """The better of each."""
        return Rate(max(self.wall, other.wall), max(self.processor, other.processor))


class Copying:
    """What listens for blocks: it gathers them as an engine would, and answers the first two numbers of each row."""

    def __init__(self, rows: int) -> None:
        self._batch = np.empty((rows, *BLOCK_SHAPE[1:]), np.uint8)

    def enqueue(self, work: Work) -> None:
        """Copy and answer."""
        np.copyto(self._batch[: work.rows], work.arrays[0])
        work.finish([self._batch[: work.rows, 0, 0, :2].astype(np.float32)])

    def cancel(self, work: Work) -> None:
        """It is answered already."""

    async def load(self, model_id: str) -> None:
        """There is no model."""

    async def unload(self, model_id: str) -> None:
        """There is no model."""

    def models(self) -> Mapping[str, LoadedModel]:
        """None."""
        return {}

    def rows_waiting(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True)
class Taker:
    """A process that takes images on a socket."""

    path: Path
    pid: int

    def processor_s(self) -> float:
        """What it has taken of the processor."""
        fields = (Path("/proc") / str(self.pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def taker(folder: Path, role: str, memory_bytes: int) -> Iterator[Taker]:
    """An engine, or the link alone, in a process of its own."""
    path = folder / f"{role}-{memory_bytes}.sock"
    held, given = socket.socketpair()
    settings = {"STATE_DIR": folder / "state", "SHARED_MEMORY_BYTES": memory_bytes, "THREADS": 1, "FORM": "plain"}
    environment = os.environ | {f"CHAPTERHOUSE_{name}": str(value) for name, value in settings.items()}
    places = ["--socket", str(path), "--device", "cpu", "--parent-pipe", str(given.fileno())]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.feeding", role, *places],
        cwd=ROOT,
        env=environment,
        pass_fds=[given.fileno()],
    )
    given.close()
    try:
        yield Taker(path, process.pid)
    finally:
        held.close()
        process.wait(PATIENCE_S)


async def connected(path: Path) -> Link:
    """A link, as soon as somebody listens."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with suppress(OSError):
            return await Link.connect(path)
        assert time.monotonic() < until, f"nobody listens on {path}"
        await asyncio.sleep(0.05)


async def asked(taker: Taker, call: Call, array: Array, *, open_at_once: int, seconds: float) -> Rate:
    """Rows a second of submissions of one array, so many of which are always open."""
    link = await connected(taker.path)
    await link.submit(call, [array], lane=Lane.INTERACTIVE, deadline=None, request_id="")
    until = time.monotonic() + seconds

    async def ask() -> int:
        rows = 0
        while time.monotonic() < until:
            await link.submit(call, [array], lane=Lane.INTERACTIVE, deadline=None, request_id="")
            rows += len(array)
        return rows

    rate = await measured(taker, lambda: _sum(ask, open_at_once))
    link.close()
    await link.closed.wait()
    return rate


async def _sum(ask: Callable[[], Awaitable[int]], times: int) -> int:
    return sum(await asyncio.gather(*(ask() for _ in range(times))))


async def measured(taker: Taker, work: Callable[[], Awaitable[int]]) -> Rate:
    """What the work counts, a second."""
    began, processor_s = time.monotonic(), taker.processor_s()
    count = await work()
    return Rate(count / (time.monotonic() - began), count / max(1e-9, taker.processor_s() - processor_s))


class Single(asyncio.Protocol):
    """Sends images one by one, as many fronts would: bundles that were written once, the next as answers come."""

    def __init__(self, bundle: bytes, rows: int, seconds: float) -> None:
        self._bundle = bundle
        self._rows = rows
        self._until = time.monotonic() + seconds
        self._reader = FrameReader()
        self._open = 0
        self.answered = 0
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._send(BUNDLES_OPEN)

    def _send(self, bundles: int) -> None:
        self._open += bundles * self._rows
        self._transport.write(self._bundle * bundles)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        for frame in self._reader.feed(data):
            assert frame.kind is not MessageType.ERROR, frame.meta
            self.answered += len(frame.items)
            self._open -= len(frame.items)
        if time.monotonic() < self._until:
            self._send((BUNDLES_OPEN * self._rows - self._open) // self._rows)
        elif not self._open:
            self.over.set()


async def one_by_one(taker: Taker, seconds: float) -> Rate:
    """Images a second that come one by one, in messages of 64 submissions."""
    image = np.zeros((1, 28, 28, 1), np.uint8)
    items = [item_of(number, [image], Call(NAME, "classify"), request_id="0" * 16) for number in range(1, FORM + 1)]
    bundle = encode_bundle(MessageType.SUBMISSIONS, items)
    warm = await connected(taker.path)
    await warm.load(NAME)
    warm.close()
    raw = socket.socket(socket.AF_UNIX)
    raw.setblocking(False)  # noqa: FBT003 - its only argument
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, str(taker.path))
    shared = await greeted(raw, lambda _: None)
    single = Single(bundle, FORM, seconds)

    async def work() -> int:
        transport, _ = await loop.create_unix_connection(lambda: single, sock=raw)
        await asyncio.wait_for(single.over.wait(), seconds + PATIENCE_S)
        transport.close()
        return single.answered

    rate = await measured(taker, work)
    if shared is not None:
        shared.room.close()
    return rate


def copied(seconds: float) -> float:
    """Bytes a second of a copy within this process."""
    source, target = np.ones(BLOCK_SHAPE, np.uint8), np.empty(BLOCK_SHAPE, np.uint8)
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        np.copyto(target, source)
        count += source.nbytes
    return count / (time.monotonic() - began)


async def once(engine: Taker, link: Taker, seconds: float) -> dict[str, Rate]:
    """One reading of everything."""
    form, block = np.zeros((FORM, 28, 28, 1), np.uint8), np.ones(BLOCK_SHAPE, np.uint8)
    blocks = await asked(link, Call(NAME, "copy"), block, open_at_once=BLOCKS_OPEN, seconds=seconds)
    megabytes = block.nbytes / len(block) / 1e6
    return {
        "one by one": await one_by_one(engine, seconds),
        "in forms of 64": await asked(engine, Call(NAME, "classify"), form, open_at_once=FORMS_OPEN, seconds=seconds),
        "blocks, MB": Rate(blocks.wall * megabytes, blocks.processor * megabytes),
    }


Readings = Mapping[str, Mapping[str, Rate]]


def table(readings: Readings, copy_bytes: float) -> list[str]:
    """What was found: a line for each way in which images come."""
    lines = [
        "| a second | shared memory | socket | ratio | by processor time | socket | ratio | goal | reached |",
        "|---" * 9 + "|",
    ]
    for name, goal in GOALS.items():
        shared, sent = readings["shared"][name], readings["socket"][name]
        reached = max(shared.wall, shared.processor if name == "one by one" else 0.0) / goal
        told = (shared.wall, sent.wall, shared.processor, sent.processor)
        wall, wall_sent, processor, processor_sent = (f"{rate:,.0f}" for rate in told)
        ratio, ratio_by_processor = f"{told[0] / told[1]:.2f}", f"{told[2] / told[3]:.2f}"
        cells = [name, wall, wall_sent, ratio, processor, processor_sent, ratio_by_processor, f"{goal:,}"]
        lines.append(f"| {' | '.join([*cells, f'{reached:.2f}'])} |")
    share = readings["shared"]["blocks, MB"].wall * 1e6 / copy_bytes
    return [
        *lines,
        "",
        f"a copy within a process: {copy_bytes / 1e6:,.0f} MB a second; blocks go at {share:.2f} of that",
    ]


def run(seconds: float, rounds: int) -> list[str]:
    """Measure in turns; the lines to print."""
    found: dict[str, dict[str, Rate]] = {"shared": {}, "socket": {}}
    copy_bytes = 0.0
    with tempfile.TemporaryDirectory(prefix="chapterhouse-feeding-") as directory:
        folder = Path(directory)
        add_nothing(folder / "state" / "models")
        with (
            taker(folder, "engine", MEMORY_BYTES) as engine,
            taker(folder, "engine", 0) as plain_engine,
            taker(folder, "link", MEMORY_BYTES) as link,
            taker(folder, "link", 0) as plain_link,
        ):
            for _ in range(rounds):
                for way, takers in (("shared", (engine, link)), ("socket", (plain_engine, plain_link))):
                    for name, rate in _run(once(*takers, seconds)).items():
                        found[way][name] = rate.best(found[way].get(name, rate))
                copy_bytes = max(copy_bytes, copied(seconds / 4))
    return table(found, copy_bytes)


def _run(reading: Coroutine[None, None, dict[str, Rate]]) -> dict[str, Rate]:
    import uvloop

    found: dict[str, Rate] = uvloop.run(reading)
    return found


def add_nothing(layer: Path) -> None:
    """Write the model whose net does nothing into a layer of a store."""
    add_double(layer, _net()(), kind=NAME, side=28, batch=64)


def _net() -> type:
    import torch
    from torch import Tensor, nn

    class Nothing(nn.Module):
        """Answers with two pixels."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def features(self, x: Tensor) -> Tensor:
            """Two pixels of images (n, 1, 28, 28)."""
            return x[:, 0, 0, :2]

        def head(self, features: Tensor) -> Tensor:
            """Logits (n, 2)."""
            return features

        def forward(self, x: Tensor) -> Tensor:
            """Images (n, 1, 28, 28) to logits (n, 2)."""
            return self.features(x)

    return Nothing


async def listen(path: Path) -> None:
    """The link alone, until whoever started it is gone."""
    memory_bytes = int(os.environ["CHAPTERHOUSE_SHARED_MEMORY_BYTES"])
    await Listener(Copying(BLOCK_SHAPE[0]), memory_bytes=memory_bytes).listen(path)
    await asyncio.Event().wait()


def take(arguments: Sequence[str]) -> int:
    """What a taker's process does."""
    import uvloop

    from service.__main__ import main as service
    from service.nets.registry import NETS
    from service.processes.lifeline import hold_to_parent, watch_parent

    if arguments[0] == "engine":
        NETS[NAME] = _net()
        return service(list(arguments))
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    pipe = int(options["--parent-pipe"])
    hold_to_parent(pipe)

    async def serve() -> None:
        watch_parent(pipe)
        await listen(Path(options["--socket"]))

    uvloop.run(serve())
    return 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each reading")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put it into docs/feeding.md, too")
    options = parser.parse_args()
    print(measured_on := machine())
    print("\n".join(lines := run(options.seconds, options.rounds)))
    if options.write:
        put("feeding.md", "feeding", [f"{measured_on}.", "", *lines])


if __name__ == "__main__":
    if sys.argv[1:2] in (["engine"], ["link"]):
        sys.exit(take(sys.argv[1:]))
    main()
