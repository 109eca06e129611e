"""Full load while processes are killed and stopped, models reloaded, and clients do all that they should not.

    python -m benchmarks.chaos [--seconds 600] [--clients 16] [--foes 8] [--gentle] [--seed 0]

The first and the last fifth of the time, two minutes at most, are undisturbed: what the service holds after the last
is compared with what it holds after the first. Between them a process of a random role gets SIGKILL or SIGSTOP every
few seconds, a model is loaded anew, and hostile clients of another address hang up, stall, flood headers and send
garbage. Well-behaved clients ask again what broke off or was refused for the moment; each has to be answered, and
rightly; evaluations have to give the numbers that they gave undisturbed, and references are stored once. `--gentle` is
for a busy machine: fewer clients and kills. Clients share the cores, so times are not the service's alone.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import hostile
from benchmarks.load.evaluations import Evaluations
from benchmarks.load.machine import machine
from benchmarks.load.service import Service
from benchmarks.load.steady import Question, Tally, keep_asking, learn, questions
from benchmarks.load.wire import Line, request, run

ROLES = ("front", "engine", "evaluator")
QUIET_SHARE, QUIET_MOST_S = 0.2, 120.0
BREATH_S = 3.0
"""From the last request to counting what is held."""
KILLS_EVERY_S, GENTLE_KILLS_EVERY_S = 4.0, 6.0
STOPPED_MOST_S = 4.0
"""A process that was stopped and is to go on does so within this."""
LEFT_STOPPED = 0.3
"""The part of those that were stopped which nobody lets go on: the supervisor has to notice."""
MEMORY_GROWTH = 1.05
DESCRIPTOR_GROWTH = 2.0
LONG_S = 300.0
"""Only so long a run says something about memory."""
SETTLE_TRIES = 120
"""How often, once a second, a model is asked to be loaded after the last kill."""
Disturbance = Callable[[Callable[[], bool]], Coroutine[Any, Any, None]]


@dataclass
class Report:
    """What happened."""

    done: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    memory: list[dict[str, float]] = field(default_factory=list)
    descriptors: list[dict[str, float]] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Chaos:
    """One service, its well-behaved clients, and everything that goes wrong around it."""

    def __init__(self, service: Service, options: argparse.Namespace) -> None:
        self._service = service
        self._address = service.address
        self._clients: int = options.clients
        self._foes: int = options.foes
        self._every_s = GENTLE_KILLS_EVERY_S if options.gentle else KILLS_EVERY_S
        self._rng = random.Random(options.seed)
        self._asked: list[Question] = questions(options.seed)
        self.tally = Tally()
        self.report = Report()
        self.evaluations = Evaluations(service, self.tally)

    async def run(self, seconds: float) -> None:
        """Quiet, chaos, quiet."""
        quiet_s = min(QUIET_MOST_S, QUIET_SHARE * seconds)
        await learn(self._address, self._asked)
        await self.evaluations.learn()
        await self._phase(quiet_s)
        await self._count()
        await self._phase(seconds - 2 * quiet_s, self._kill, self._stop, self._reload, *[self._annoy] * self._foes)
        await self._settle()
        await self._phase(quiet_s)
        await self._count()
        await self.evaluations.account()

    async def _phase(self, seconds: float, *disturbances: Disturbance) -> None:
        until = time.monotonic() + seconds
        began = self.tally.answered

        def over() -> bool:
            return time.monotonic() > until

        clients = [
            keep_asking(self._address, self._asked, self.tally, over, start=7 * number)
            for number in range(self._clients)
        ]
        work = [disturb(over) for disturb in disturbances]
        await asyncio.gather(*clients, self.evaluations.keep_sending(over), *work)
        self.report.p99_ms.append(self.tally.percentile_ms(99, since=began))

    async def _count(self) -> None:
        """What every role holds while nothing is asked."""
        await asyncio.sleep(BREATH_S)
        self.report.memory.append(self._service.memory_mib())
        self.report.descriptors.append(self._service.descriptors())

    async def _settle(self) -> None:
        """Load what was to be loaded last and was not, and wait until everything that was killed runs again."""
        for _ in range(SETTLE_TRIES):
            if await self._change("load") == 204:
                break
            await asyncio.sleep(1)
        await asyncio.to_thread(self._service.wait_until_ready)

    async def _kill(self, over: Callable[[], bool]) -> None:
        while not over():
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * self._every_s)
            role = self._rng.choice(ROLES)
            if (found := self._service.of_role(role)) and self._service.signal(found[0], signal.SIGKILL):
                self.report.done[f"{role} killed"] += 1

    async def _stop(self, over: Callable[[], bool]) -> None:
        while not over():
            await asyncio.sleep(self._rng.uniform(1, 3) * self._every_s)
            role = self._rng.choice(ROLES)
            found = self._service.of_role(role)
            if not found or not self._service.signal(found[0], signal.SIGSTOP):
                continue
            self.report.done[f"{role} stopped"] += 1
            if self._rng.random() > LEFT_STOPPED:
                await asyncio.sleep(self._rng.uniform(0.2, STOPPED_MOST_S))
                self._service.signal(found[0], signal.SIGCONT)

    async def _reload(self, over: Callable[[], bool]) -> None:
        while not over():
            await asyncio.sleep(self._rng.uniform(2, 6))
            for verb in ("unload", "load"):
                self.report.done[f"{verb} {await self._change(verb) or 'broken off'}"] += 1

    async def _change(self, verb: str) -> int:
        """The status of loading or unloading the model that is asked all the time; 0 where nothing answered."""
        model = orjson.loads(self._asked[0].right)["model"]
        line = Line(self._address)
        try:
            async with asyncio.timeout(30):
                said = request("POST", f"/models/{model}/{verb}", headers=self._service.bearer)
                return (await line.ask(said)).status
        except (OSError, TimeoutError):
            return 0
        finally:
            line.close()

    async def _annoy(self, over: Callable[[], bool]) -> None:
        while not over():
            name = self._rng.choice(list(hostile.MISCHIEF))
            until = asyncio.get_running_loop().time() + self._rng.uniform(0.5, 5)
            met: Counter[str] = Counter()
            await hostile.meet(hostile.MISCHIEF[name], self._address, met, until)
            self.report.met.update(met)
            await asyncio.sleep(0.05)


def main() -> int:
    """Run, and say what became of the requests; 1 where one was not answered, or wrongly, or something is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=16, help="well-behaved ones, each with a connection")
    parser.add_argument("--foes", type=int, default=8)
    parser.add_argument("--gentle", action="store_true", help="for a busy machine")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.gentle:
        options.clients, options.foes = min(options.clients, 4), min(options.foes, 3)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="chapterhouse-chaos-") as directory:
        service = Service(Path(directory))
        with service:
            chaos = Chaos(service, options)
            run(chaos.run(options.seconds))
            log = service.log
        left = service.left_behind()
    wrong = [*chaos.tally.wrong, *chaos.tally.unanswered, *faults(chaos.report, left, options.seconds)]
    tell(chaos, log, options.seconds)
    print("\n".join(wrong) or "every request was answered, rightly, and nothing is left")
    return 1 if wrong else 0


def tell(chaos: Chaos, log: str, seconds: float) -> None:
    """Print what was done and what it cost."""
    report, tally = chaos.report, chaos.tally
    before, during, after = report.p99_ms
    print(f"{seconds:.0f} s: " + ", ".join(f"{what} {count}" for what, count in sorted(report.done.items())))
    print("hostile clients met: " + ", ".join(f"{what} {count}" for what, count in sorted(report.met.items())))
    again = ", ".join(f"{what} {count}" for what, count in sorted(tally.attempts.items())) or "nothing"
    print(f"{tally.answered:,} requests answered, {chaos.evaluations.finished} evaluations; asked again: {again}")
    print(
        f"p99 {before:.0f} ms before, {during:.0f} ms in the chaos (waits and new attempts included), {after:.0f} after"
    )
    for what, unit, found in (("memory", "MiB", report.memory), ("descriptors", "", report.descriptors)):
        pairs = (f"{role} {found[0].get(role, 0):.1f} → {found[-1].get(role, 0):.1f}" for role in found[0])
        print(f"{what} by role {unit}: " + ", ".join(pairs))
    print(f"lines in the log: {len(log.splitlines())}, tracebacks: {log.count('Traceback (most recent call last)')}")


def faults(report: Report, left: list[str], seconds: float) -> list[str]:
    """What is held after the chaos and was not before it, and what is left when all is over."""
    grown = [
        f"{role}: {report.descriptors[0][role]:.1f} descriptors before, {count:.1f} after"
        for role, count in report.descriptors[-1].items()
        if count > report.descriptors[0].get(role, count) + DESCRIPTOR_GROWTH
    ]
    if seconds >= LONG_S:
        grown += [
            f"{role}: {report.memory[0][role]:.1f} MiB before, {size:.1f} after"
            for role, size in report.memory[-1].items()
            if size > MEMORY_GROWTH * report.memory[0].get(role, size)
        ]
    return [*grown, *(f"left behind: {path}" for path in left)]


if __name__ == "__main__":
    sys.exit(main())
