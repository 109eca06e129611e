"""What a bad image, too little memory and a context that dies cost, on a simulated card.

    python -m benchmarks.failures [--write]

The net and the card do as they are told; the engine between callers and card is the service's own. Counted is what
reaches the card: forwards and rows, which no other load of this machine changes. `--write` puts it into
docs/feeding.md. What a whole service does when it loses a card is `python -m benchmarks.lost`.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.load.doubles import add_double
from benchmarks.load.machine import machine
from benchmarks.load.writing import put
from service.errors import ModelFailed
from service.nets.registry import NETS
from service.runtime.calls import EVICTED, Array, Call, Lane
from service.runtime.cards.simulated import Hardware, SimulatedDevice
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments

BATCH = 64
BAD = 255
"""The first pixel of an image on which the net raises; all others are numbered from 1."""
ROOM = 16
"""Rows for which there is memory at once."""
PATIENCE_S = 60.0
NAMES = ("first", "second", "third")


class Frail(nn.Module):
    """Raises on a bad image and where there are more rows than it has room for; remembers how many came each time."""

    seen: ClassVar[list[int]] = []
    room: ClassVar[int] = BATCH

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def features(self, x: Tensor) -> Tensor:
        """The two upper pixels of images (n, 1, 2, 2)."""
        self.seen.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError(f"no memory for {len(x)} rows")
        if ((x[:, 0, 0, 0] * 255).round() == BAD).any():
            raise ArithmeticError("a bad image")
        return x[:, 0, 0, :2]

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, 2)."""
        return features * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        return self.head(self.features(x))


@dataclass(frozen=True, slots=True)
class Reading:
    """What reached the card, and what came back."""

    what: str
    forwards: list[int]
    """The rows of each."""
    answered: int
    """Images."""
    failed: int
    wanted: tuple[int, int, int]
    """How many forwards, answers and failures there should be, at most of the first."""

    @property
    def is_as_wanted(self) -> bool:
        """Whether no more was lost or done than had to be."""
        forwards, answered, failed = self.wanted
        return len(self.forwards) <= forwards and (self.answered, self.failed) == (answered, failed)

    def line(self) -> str:
        """A row of the table."""
        return f"| {self.what} | {len(self.forwards)} | {sum(self.forwards)} | {self.answered} | {self.failed} |"


def images(bad: Sequence[int] = ()) -> Array:
    """As many as a batch takes; those at these places are bad."""
    found = np.zeros((BATCH, 2, 2, 1), np.uint8)
    found[:, 0, 0, 0] = np.arange(1, BATCH + 1)
    found[list(bad), 0, 0, 0] = BAD
    return found


async def ask(engine: LocalEngine, what: str, callers: Sequence[Array], wanted: tuple[int, int, int]) -> Reading:
    """What comes of these callers' images, who all ask at once."""
    Frail.seen.clear()
    asked = [engine.submit(Call(NAMES[0], "classify"), [given]) for given in callers]
    came = await asyncio.gather(*asked, return_exceptions=True)
    failed = sum(len(given) for given, one in zip(callers, came, strict=True) if isinstance(one, ModelFailed))
    answered = sum(
        len(given)
        for given, one in zip(callers, came, strict=True)
        if not isinstance(one, BaseException) and np.allclose(one[0], _right(given), atol=1e-6)
    )
    return Reading(what, list(Frail.seen), answered, failed, wanted)


def _right(given: Array) -> Array:
    """The logits of images, computed apart from any engine."""
    return given[:, 0, :, 0].astype(np.float32) / 255


def singles(bad: Sequence[int] = ()) -> list[Array]:
    """The same images, each from a caller of its own."""
    found = images(bad)
    return [found[place : place + 1] for place in range(BATCH)]


async def poison(engine: LocalEngine) -> list[Reading]:
    """Bad images among those that share a batch: each halving costs two forwards, and the bad one fails alone."""
    readings = [await ask(engine, "64 callers, none of them bad", singles(), (1, 64, 0))]
    for bad in ((37,), (5, 37), (5, 20, 37, 54)):
        most = 1 + 2 * 6 * len(bad)
        readings.append(await ask(engine, f"64 callers, {len(bad)} bad", singles(bad), (most, 64 - len(bad), len(bad))))
    readings.append(
        await ask(engine, "one form of 64, an image of it bad: it fails as a whole", [images((37,))], (1, 0, 64))
    )
    return readings


async def memory(engine: LocalEngine) -> list[Reading]:
    """Room for sixteen rows: what is too much is halved once, and the next batches are small from the beginning."""
    Frail.room = ROOM
    readings = [
        await ask(engine, "64 callers, memory for 16 rows", singles(), (7, 64, 0)),
        await ask(engine, "the next 64 callers", singles(), (4, 64, 0)),
        await ask(engine, "then a form of 64", [images()], (4, 64, 0)),
    ]
    Frail.room = BATCH
    return readings


async def eviction(store: ModelStore) -> list[str]:
    """Memory for two models, and three that are asked in turn: what went, what came back, and what was answered."""
    hardware = Hardware()
    lines, answered = [], 0
    async with LocalEngine(store, device=SimulatedDevice(hardware=hardware)) as engine:
        for turn in (NAMES[0], NAMES[1], NAMES[2], NAMES[0]):
            await engine.submit(Call(turn, "classify"), [images()])
            answered += 1
            hardware.memory_bytes = min(hardware.memory_bytes, 2 * max(hardware.held.values()))
            gone = [name for name, held in engine.models().items() if held.state == EVICTED]
            lines.append(f"| {turn} is asked | {', '.join(sorted(hardware.held))} | {', '.join(gone) or 'none'} |")
    assert answered == len(lines)
    return lines


async def loss(store: ModelStore) -> tuple[str, int, int]:
    """A context dies under eight requests: how the engine ended, how many were told so, how many the next answered."""
    hardware, told = Hardware(), list[object]()
    engine = Engine(store, SimulatedDevice(hardware=hardware), instruments=Instruments())
    serving = await engine.start()
    await engine.load(NAMES[0])
    hardware.lost.set()
    asked = singles()[:8]
    for given in asked:
        engine.enqueue(Work(Call(NAMES[0], "classify"), [given], 1, Lane.INTERACTIVE, None, "", told.append))
    done, _ = await asyncio.wait({serving}, timeout=PATIENCE_S)
    error = serving.exception() if done else None
    await engine.stop()
    failures = len(told)
    async with LocalEngine(store, device=SimulatedDevice()) as other:
        again = await ask(other, "", asked, (BATCH, len(asked), 0))
    return type(error).__name__, failures, again.answered


async def run() -> tuple[list[str], list[str]]:
    """The tables, and what must not be."""
    NETS["frail"] = Frail
    with tempfile.TemporaryDirectory(prefix="chapterhouse-failures-") as directory:
        store = ModelStore(store_of(Path(directory)))
        async with LocalEngine(store, device=SimulatedDevice()) as engine:
            await engine.load(NAMES[0])
            readings = [*await poison(engine), *await memory(engine)]
        gone = await eviction(store)
        ended, failures, answered = await loss(store)
    faults = [f"not as it should be: {reading.line()}" for reading in readings if not reading.is_as_wanted]
    if (ended, failures, answered) != ("SimulatedLoss", 0, 8):
        faults.append(f"the card that was lost: {ended}, {failures} told of a failure, {answered} answered")
    lines = [
        "| on a card that takes 64 rows at once | forwards | rows | images answered | failed |",
        "|---|---|---|---|---|",
        *[reading.line() for reading in readings],
        "",
        "| memory for two models | on the card | evicted |",
        "|---|---|---|",
        *gone,
        "",
        f"A context dies under 8 requests: {ended} ends the engine, {failures} are told, the next answers {answered}.",
    ]
    return lines, faults


def store_of(layer: Path) -> Path:
    """A layer of a store with three models of the net."""
    for name in NAMES:
        add_double(layer, Frail(), kind="frail", side=2, batch=BATCH, model_id=name)
    return layer


def main(arguments: Sequence[str] | None = None) -> int:
    """Fail, and say what that cost; 1 where it cost more than it has to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put it into docs/feeding.md, too")
    options = parser.parse_args(arguments)
    logging.disable()  # what fails here is meant to
    print(measured_on := machine())
    lines, faults = asyncio.run(run())
    print("\n".join([*lines, *faults]))
    if options.write:
        put("feeding.md", "failures", [f"{measured_on}.", "", *lines])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
