"""Where a step of the benchmark of a card runs, how long, and where its results go as it goes."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from service.cli.load import Load, Reading, run_load
from service.runtime.cards.opening import open_device
from service.runtime.devices import Device


@dataclass(frozen=True)
class Place:
    """One step's surroundings. A rehearsal is short, and on the processor or a simulated card."""

    step: str
    out: Path
    limit_s: float
    rehearsal: bool
    began: float = field(default_factory=time.monotonic)

    @property
    def at(self) -> torch.device:
        """What torch computes on."""
        return torch.device("cpu" if self.rehearsal else "cuda:0")

    @property
    def device(self) -> str:
        """What an engine is started on."""
        return "simulated:0" if self.rehearsal else "cuda:0"

    def open(self) -> Device:
        """The same, opened in this process."""
        return open_device(self.device)

    @property
    def left_s(self) -> float:
        """What is left of its time."""
        return self.limit_s - (time.monotonic() - self.began)

    def write(self, **row: object) -> None:
        """Keep a result: what is written stays, whatever happens next."""
        with (self.out / f"{self.step}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(self.step, *(f"{name}={value}" for name, value in row.items()), flush=True)

    def synchronise(self) -> None:
        """Wait until the card has done all that it was told."""
        if not self.rehearsal:
            torch.cuda.synchronize()


def seconds_of(place: Place, work: object, least_s: float = 0.2, most: int = 200) -> float:
    """The seconds of one run, the mean of as many as fit into a moment, after two that do not count."""
    assert callable(work)
    for _ in range(1 if place.rehearsal else 2):
        work()
    place.synchronise()
    began, runs = time.perf_counter(), 0
    limit_s = 0.01 if place.rehearsal else least_s
    while runs == 0 or (runs < most and time.perf_counter() - began < limit_s):
        work()
        runs += 1
        place.synchronise()
    return (time.perf_counter() - began) / runs


def answered(load: Load, most: int = 4) -> Reading:
    """What a load measures once anything is answered within its time, which grows where nothing is."""
    for _ in range(most):
        reading = run_load(load)
        if reading.latencies_s or reading.errors:
            break
        load = replace(load, seconds=2 * load.seconds)
    return reading
