"""One lost card of three under load: whether every answer comes and is right, and what the service says meanwhile.

    python -m benchmarks.lost [--seconds 10] [--clients 16] [--write]

The cards are simulated, and the service is whole. Its clients ask again what was refused for the moment, and know the
right answers; beside them somebody asks for readiness, models and metrics, all the time. The loss is over when the
metrics show all cards again. `--write` puts what came of it into docs/feeding.md.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.losing import LOSS
from benchmarks.load.machine import machine
from benchmarks.load.service import Process, Service
from benchmarks.load.steady import Tally, keep_asking, learn, questions
from benchmarks.load.wire import Line, request, run
from benchmarks.load.writing import put

PROGRAM = (sys.executable, "-m", "benchmarks.load.losing", "serve")
CARDS = ("simulated:0", "simulated:1", "simulated:2")
LOST = CARDS[1]
STATUS = ("/health/ready", "/models", "/metrics")
LOOKS_EVERY_S = 0.25
PATIENCE_S = 120.0
PHASES = ("before", "until it is back", "after")
_UP = re.compile(rb'^chapterhouse_device_up\{device="(simulated:\d)"[^}]*\} (\S+)$', re.MULTILINE)


@dataclass
class Phase:
    """What came of the questions, and what the service said of itself, for a while."""

    seconds: float = 0.0
    answered: int = 0
    p99_ms: float = 0.0
    said: dict[str, Counter[int]] = field(default_factory=lambda: {path: Counter() for path in STATUS})
    """How often each path was answered with which status."""
    fewest_up: int = len(CARDS)
    """Cards that the metrics called up, at the least."""


@dataclass
class Report:
    """What happened."""

    phases: Mapping[str, Phase]
    tally: Tally

    def faults(self) -> list[str]:
        """What must not be."""
        found = [f"never answered: {said}" for said in self.tally.unanswered]
        found += [f"wrong: {said}" for said in self.tally.wrong]
        for name, phase in self.phases.items():
            found += [
                f"{name}: {path} answered {status}, {times} times"
                for path, statuses in phase.said.items()
                for status, times in sorted(statuses.items())
                if status != 200
            ]
        fewest = [phase.fewest_up for phase in self.phases.values()]
        if fewest != [len(CARDS), len(CARDS) - 1, len(CARDS)]:
            found.append(f"the metrics called {fewest} cards up at the least")
        return found

    def lines(self) -> list[str]:
        """A table, what was asked again, and what must not be."""
        rows = {
            "seconds": [f"{phase.seconds:.1f}" for phase in self.phases.values()],
            "right answers": [f"{phase.answered:,}" for phase in self.phases.values()],
            "p99, ms": [f"{phase.p99_ms:,.0f}" for phase in self.phases.values()],
            "cards up, the fewest": [str(phase.fewest_up) for phase in self.phases.values()],
            **{
                f"`{path}` answered 200": [
                    f"{phase.said[path][200]} of {phase.said[path].total()}" for phase in self.phases.values()
                ]
                for path in STATUS
            },
        }
        lines = [f"| one lost card of three | {' | '.join(self.phases)} |", "|---" * (len(self.phases) + 1) + "|"]
        lines += [f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items()]
        again = ", ".join(f"{what} {times}" for what, times in sorted(self.tally.attempts.items())) or "none"
        lines.append(
            f"asked again: {again}; never answered: {len(self.tally.unanswered)}; wrong: {len(self.tally.wrong)}"
        )
        return [*lines, *self.faults()]


def cards_up(metrics: bytes) -> int:
    """How many simulated cards the metrics call up."""
    return sum(float(value) == 1 for _, value in _UP.findall(metrics))


class Watch:
    """Asks what the service says of itself, again and again; each answer belongs to the phase of its time."""

    def __init__(self, service: Service) -> None:
        self._address = service.address
        self.phase = Phase()
        self.up = 0
        """Cards up, when that was last asked."""

    async def look(self, over: Callable[[], bool]) -> None:
        """Until it is over."""
        line = Line(self._address)
        while not over():
            for path in STATUS:
                await self._ask(line, path)
            await asyncio.sleep(LOOKS_EVERY_S)
        line.close()

    async def _ask(self, line: Line, path: str) -> None:
        phase, status = self.phase, 0
        with suppress(OSError):
            reply = await line.ask(request("GET", path))
            status = reply.status
            if path == "/metrics":
                self.up = cards_up(reply.body)
                phase.fewest_up = min(phase.fewest_up, self.up)
        phase.said[path][status] += 1


def engine_of(service: Service, card: str) -> Process:
    """The process that has a card."""
    for process in service.of_role("engine"):
        with suppress(OSError):
            if card.encode() in (Path("/proc") / str(process.pid) / "cmdline").read_bytes().split(b"\0"):
                return process
    raise AssertionError(f"no engine has {card}")


async def lose_one(service: Service, *, seconds: float, clients: int) -> Report:
    """All three phases."""
    asked, tally, watch, ended = questions(), Tally(), Watch(service), asyncio.Event()
    await learn(service.address, asked)
    asking = [
        asyncio.create_task(keep_asking(service.address, asked, tally, ended.is_set, start=7 * number))
        for number in range(clients)
    ]
    looking = asyncio.create_task(watch.look(ended.is_set))
    phases: dict[str, Phase] = {}
    for name in PHASES:
        phase = watch.phase = phases[name] = Phase()
        began, before = time.monotonic(), tally.answered
        if name == PHASES[1]:
            assert service.signal(engine_of(service, LOST), LOSS)
            await _until_back(watch)
        else:
            await asyncio.sleep(seconds)
        phase.seconds = time.monotonic() - began
        phase.answered, phase.p99_ms = tally.answered - before, tally.percentile_ms(99, since=before)
    ended.set()
    await asyncio.gather(looking, *asking)
    return Report(phases, tally)


async def _until_back(watch: Watch) -> None:
    """Wait until the metrics have shown that a card is missing, and then that none is."""
    until = time.monotonic() + PATIENCE_S
    while watch.phase.fewest_up == len(CARDS) or watch.up < len(CARDS):
        assert time.monotonic() < until, f"{watch.up} of {len(CARDS)} cards are up"
        await asyncio.sleep(LOOKS_EVERY_S / 5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Lose a card, and say what came of it; 1 where anything was lost with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="before the loss, and after it is over")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="put it into docs/feeding.md, too")
    options = parser.parse_args(arguments)
    print(measured_on := machine())
    with (
        tempfile.TemporaryDirectory(prefix="chapterhouse-lost-") as directory,
        Service(Path(directory), program=PROGRAM, DEVICES=",".join(CARDS), FORM="plain", THREADS=1) as service,
    ):
        report = run(lose_one(service, seconds=options.seconds, clients=options.clients))
    print("\n".join(report.lines()))
    if options.write:
        put("feeding.md", "lost", [f"{measured_on}.", "", *report.lines()])
    return 1 if report.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
