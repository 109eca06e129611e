"""A lost card of three under load: whether every answer comes and is right, and what the service says meanwhile.

    python -m benchmarks.lost [--seconds 10] [--clients 12] [--write]

The service is whole and its cards are simulated. One of them is lost twice: once its context dies, as after an assert
on it, and once its engine's process is killed. Clients ask for single images, forms, tensors of /v2, draws and
forecasts, and one evaluates; all know the right answers. Beside them somebody asks for health, models and metrics. A
loss is over when the metrics show the card with all of its models again. `--write` puts it into docs/feeding.md.
"""

import argparse
import asyncio
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.load.evaluations import Evaluations
from benchmarks.load.losing import LOSS
from benchmarks.load.machine import machine
from benchmarks.load.service import Process, Service
from benchmarks.load.steady import Question, Tally, groups, keep_asking, learn, questions
from benchmarks.load.wire import Line, request, run
from benchmarks.load.writing import put

PROGRAM = (sys.executable, "-m", "benchmarks.load.losing", "serve")
CARDS = ("simulated:0", "simulated:1", "simulated:2")
LOST = CARDS[1]
STATUS = ("/health/live", "/health/ready", "/models", "/metrics")
LOOKS_EVERY_S = 0.25
PATIENCE_S = 240.0
LOSSES = {"its context dies": LOSS, "its engine is killed": signal.SIGKILL}
PHASES = ("before", "its context dies", "after it", "its engine is killed", "after that")

TROUBLE = re.compile("hangs|ended with| ERROR ")
"""What is shown of the service's log where something was lost."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the metrics say of the cards at one moment."""

    cards_up: int
    lost_up: int
    lost_models: int
    restarts: int

    @classmethod
    def of(cls, metrics: bytes) -> "Shown":
        """What stands in Prometheus's text."""
        return cls(
            int(sample(metrics, "chapterhouse_device_up")),
            int(sample(metrics, "chapterhouse_device_up", device=LOST)),
            int(sample(metrics, "chapterhouse_model_loaded", device=LOST)),
            int(sample(metrics, "chapterhouse_process_restarts_total", role="engine")),
        )


def sample(metrics: bytes, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", metrics.decode(), re.MULTILINE)
    return sum(float(value) for said, value in found if wanted <= set(said.split(",")))


@dataclass
class Phase:
    """What came of the questions, and what the service said of itself, for a while."""

    seconds: float = 0.0
    answered: int = 0
    evaluations: int = 0
    p99_ms: float = 0.0
    said: dict[str, Counter[int]] = field(default_factory=lambda: {path: Counter() for path in STATUS})
    """How often each path was answered with which status."""
    shown: list[Shown] = field(default_factory=list)

    def fewest(self, what: str) -> int:
        """The least that the metrics have shown."""
        return min((int(getattr(shown, what)) for shown in self.shown), default=-1)


@dataclass
class Report:
    """What happened."""

    phases: dict[str, Phase]
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
            if (fewest := phase.fewest("cards_up")) != (expected := len(CARDS) - (name in LOSSES)):
                found.append(f"{name}: the metrics called {fewest} cards up at the least, not {expected}")
        return found

    def lines(self) -> list[str]:
        """A table, what was asked again, and what must not be."""
        phases = list(self.phases.values())
        rows = {
            "seconds": [f"{phase.seconds:.1f}" for phase in phases],
            "right answers": [f"{phase.answered:,}" for phase in phases],
            "p99, ms": [f"{phase.p99_ms:,.0f}" for phase in phases],
            "evaluations finished, rightly": [str(phase.evaluations) for phase in phases],
            "`chapterhouse_device_up`, all cards, the least": [str(phase.fewest("cards_up")) for phase in phases],
            "the same of the one that is lost": [str(phase.fewest("lost_up")) for phase in phases],
            "its `chapterhouse_model_loaded`, the least": [str(phase.fewest("lost_models")) for phase in phases],
            '`chapterhouse_process_restarts_total{role="engine"}`': [
                str(max((shown.restarts for shown in phase.shown), default=-1)) for phase in phases
            ],
            **{
                f"`{path}` answered 200": [f"{phase.said[path][200]} of {phase.said[path].total()}" for phase in phases]
                for path in STATUS
            },
        }
        lines = [f"| a lost card of three | {' | '.join(self.phases)} |", "|---" * (len(phases) + 1) + "|"]
        lines += [f"| {what} | {' | '.join(cells)} |" for what, cells in rows.items()]
        again = ", ".join(f"{what} {times}" for what, times in sorted(self.tally.attempts.items())) or "nothing"
        back = " and ".join(f"{self.phases[name].seconds:.1f}" for name in LOSSES)
        verdict = f"never answered: {len(self.tally.unanswered)}; wrong: {len(self.tally.wrong)}; asked again: {again}"
        return [*lines, "", f"{verdict}; the third card served again after {back} s", *self.faults()]


class Watch:
    """Asks what the service says of itself, again and again; each answer belongs to the phase of its time."""

    def __init__(self, service: Service) -> None:
        self._address = service.address
        self.phase = Phase()

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
            if path == "/metrics" and phase is self.phase:  # else it began before what the next phase is about
                phase.shown.append(Shown.of(reply.body))
        phase.said[path][status] += 1


def engine_of(service: Service, card: str) -> Process:
    """The process that has a card."""
    for process in service.of_role("engine"):
        with suppress(OSError):
            if card.encode() in (Path("/proc") / str(process.pid) / "cmdline").read_bytes().split(b"\0"):
                return process
    raise AssertionError(f"no engine has {card}")


async def lose_one(service: Service, *, seconds: float, clients: int) -> Report:
    """All phases."""
    asked, tally, watch, ended = questions(), Tally(), Watch(service), asyncio.Event()
    await learn(service.address, asked)
    asked = await _with_groups(service, asked)
    evaluations = Evaluations(service, tally)
    await evaluations.learn()
    phases: dict[str, Phase] = {}
    async with asyncio.TaskGroup() as beside:
        beside.create_task(watch.look(ended.is_set))
        beside.create_task(evaluations.keep_sending(ended.is_set))
        for number in range(clients):
            beside.create_task(keep_asking(service.address, asked, tally, ended.is_set, start=7 * number))
        for name in PHASES:
            phase = watch.phase = phases[name] = Phase()
            began, before, finished = time.monotonic(), tally.answered, evaluations.finished
            if name in LOSSES:
                await _lose(service, phase, LOSSES[name], models=phases[PHASES[0]].shown[-1].lost_models)
            else:
                await asyncio.sleep(seconds)
                await _until(service, lambda phase=phase: phase.shown)  # type: ignore[misc]
            phase.seconds = time.monotonic() - began
            phase.answered, phase.p99_ms = tally.answered - before, tally.percentile_ms(99, since=before)
            phase.evaluations = evaluations.finished - finished
        watch.phase = Phase()
        ended.set()
    return Report(phases, tally)


async def _with_groups(service: Service, asked: list[Question]) -> list[Question]:
    """So many questions about several images at once as about one, among them."""
    several = groups(orjson.loads(asked[0].right)["model"])
    await learn(service.address, several)
    return [question for number, one in enumerate(asked) for question in (one, several[number % len(several)])]


async def _lose(service: Service, phase: Phase, how: signal.Signals, *, models: int) -> None:
    """Lose the card, and wait until the metrics have shown it gone, and then there with so many models."""
    assert service.signal(engine_of(service, LOST), how)
    await _until(service, lambda: phase.fewest("lost_up") == 0)
    await _until(service, lambda: phase.shown[-1].lost_up and phase.shown[-1].lost_models >= models)


async def _until(service: Service, holds: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, f"{LOST} is not back:\n{service.log[-3000:]}"
        await asyncio.sleep(LOOKS_EVERY_S / 5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Lose a card, and say what came of it; 1 where anything was lost with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="before, between and after the losses")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="put it into docs/feeding.md, too")
    options = parser.parse_args(arguments)
    print(measured_on := machine())
    with (
        tempfile.TemporaryDirectory(prefix="chapterhouse-lost-") as directory,
        Service(Path(directory), program=PROGRAM, DEVICES=",".join(CARDS), FORM="plain", THREADS=1) as service,
    ):
        report = run(lose_one(service, seconds=options.seconds, clients=options.clients))
        log = service.log
    print("\n".join(report.lines()))
    if report.faults():
        print("\n".join(line for line in log.splitlines() if TROUBLE.search(line)))
    if options.write:
        put("feeding.md", "lost", [f"{measured_on}.", "", *report.lines()])
    return 1 if report.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
