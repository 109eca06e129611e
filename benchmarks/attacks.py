"""What others feel while a service is attacked, one attack after the other: docs/reliability.md's table.

    python -m benchmarks.attacks [NAME …] [--seconds 6] [--write now] [--source CHECKOUT]

Each attack comes from a process and an address of its own. Meanwhile `/health/live` is asked every 20 ms and four
well-behaved clients classify digits, after they did so undisturbed. Told are the slowest answer about health and the
p99 of the others, beside what they were alone just before, what fronts and their readers hold at most and 2 s after
the attack, and what the attackers were answered. `--write before` or `--write now` puts the numbers into
docs/reliability.json and the page; `--source` attacks the service of another checkout. On a machine whose cores are
shared with the attackers and others, the figures beside each other say more than each alone.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.hostile import ATTACKS, LIVE
from benchmarks.load.machine import machine
from benchmarks.load.service import ROOT, Service
from benchmarks.load.steady import Question, Tally, keep_asking, learn, questions
from benchmarks.load.wire import Address, Line, run
from benchmarks.load.writing import page_with

RECORD = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
ALONE_S = 3.0
AFTER_S = 2.0
EVERY_S = 0.02
CLIENTS = 4
PAUSE_S = 0.01
IMAGES = 16
HEALTH_PATIENCE_S = 30.0
DEAR = "googlenet-cifar10"
"""Loaded beforehand: what loading costs is another question."""
RUNS = ("before", "now")


@dataclass(frozen=True, slots=True)
class Felt:
    """What others felt, in milliseconds; memory in mebibytes."""

    health_worst_ms: float
    p99_ms: float
    answered: int
    not_answered: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attack."""

    alone: Felt
    attacked: Felt
    memory_before_mib: float
    memory_most_mib: float
    memory_after_mib: float
    statuses: dict[str, int]


class Besieged:
    """A service, those who use it, and those who attack it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._address = service.address
        self._asked: list[Question] = questions(images=IMAGES)[:IMAGES]

    async def learn(self) -> None:
        """Take what an undisturbed service says for right."""
        await learn(self._address, self._asked)

    async def suffer(self, name: str, seconds: float) -> Outcome:
        """Alone, attacked, alone again."""
        alone = await self._feel(ALONE_S)
        before = self._memory()
        attackers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.load.hostile", name, *map(str, self._address), str(seconds)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert attackers.stdout is not None
        await attackers.stdout.readline()  # it begins
        self._highest = 0.0
        watching = asyncio.create_task(self._most())
        attacked = await self._feel(seconds)
        watching.cancel()
        told, _ = await attackers.communicate()
        await asyncio.sleep(AFTER_S)
        statuses = json.loads(told)
        return Outcome(alone, attacked, before, max(self._highest, before), self._memory(), statuses)

    def _memory(self) -> float:
        """What fronts and their readers hold, together."""
        return sum(found.memory_kib for found in self._service.processes() if found.role in ("front", "reader")) / 1024

    async def _most(self) -> None:
        while True:
            self._highest = max(self._highest, await asyncio.to_thread(self._memory))
            await asyncio.sleep(0.1)

    async def _feel(self, seconds: float) -> Felt:
        """What those who use it feel for so long."""
        tally, health, until = Tally(), Tally(), time.monotonic() + seconds

        def over() -> bool:
            return time.monotonic() > until

        clients = (
            keep_asking(self._address, self._asked, tally, over, start=4 * number, pause_s=PAUSE_S)
            for number in range(CLIENTS)
        )
        await asyncio.gather(*clients, ask_for_health(self._address, health, over))
        missed = len(tally.unanswered) + len(tally.wrong) + len(health.unanswered) + sum(tally.attempts.values())
        return Felt(round(health.percentile_ms(100), 1), round(tally.percentile_ms(99), 1), tally.answered, missed)


async def ask_for_health(address: Address, tally: Tally, over: Callable[[], bool]) -> None:
    """Ask whether the service lives, again and again; each time over a connection of its own, as probes do."""
    while not over():
        line, began = Line(address), time.perf_counter()
        try:
            async with asyncio.timeout(HEALTH_PATIENCE_S):
                await line.ask(LIVE)
        except (OSError, TimeoutError) as error:
            tally.unanswered.append(repr(error))
        tally.seconds.append(time.perf_counter() - began)
        line.close()
        await asyncio.sleep(EVERY_S)


def main() -> int:
    """Attack, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {', '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each attack")
    parser.add_argument("--write", choices=RUNS, help="as the numbers of this run")
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout whose service is attacked")
    options = parser.parse_args()
    if unknown := set(options.names) - set(ATTACKS):
        parser.error(f"there is no attack called {', '.join(sorted(unknown))}")
    found = run(attack_all(options.names or list(ATTACKS), options.seconds, options.source.resolve()))
    record = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
    record[options.write or "now"] = {
        "machine": machine(),
        "outcomes": {**record.get(options.write or "now", {}).get("outcomes", {}), **found},
    }
    print(table(record))
    if options.write:
        RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), record), "utf-8")
    return 0


async def attack_all(names: list[str], seconds: float, source: Path) -> dict[str, Any]:
    """The outcomes by name; one attack after the other meets the same service."""
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="chapterhouse-attacks-") as directory,
        Service(Path(directory), source=source, PRELOAD=DEAR) as service,
    ):
        besieged = Besieged(service)
        await besieged.learn()
        for name in names:
            outcome = await besieged.suffer(name, seconds)
            found[name] = asdict(outcome)
            print(f"{name}: {outcome}", file=sys.stderr, flush=True)
            service.wait_until_ready()
    return found


def table(record: dict[str, Any]) -> str:
    """Every attack with both runs side by side."""
    lines = [
        "| attack | connections | "
        + " | ".join(f"{what}, before | now" for what in ("health ms", "others' p99 ms", "memory MiB", "attackers met"))
        + " |",
        "|---" * 10 + "|",
    ]
    for name, attack in ATTACKS.items():
        runs = [record.get(run, {}).get("outcomes", {}).get(name) for run in RUNS]
        cells = [column(found) for column in (health, others, memory, met) for found in runs]
        lines.append("| " + " | ".join([attack.what, f"{attack.connections:,}", *cells]) + " |")
    return "\n".join(lines)


def health(found: dict[str, Any] | None) -> str:
    """The slowest answer about health, alone and attacked."""
    return (
        ""
        if found is None
        else f"{found['alone']['health_worst_ms']:,.0f} → {found['attacked']['health_worst_ms']:,.0f}"
    )


def others(found: dict[str, Any] | None) -> str:
    """The p99 of others, alone and attacked."""
    if found is None:
        return ""
    missed = found["attacked"]["not_answered"]
    told = f"{found['alone']['p99_ms']:,.0f} → {found['attacked']['p99_ms']:,.0f}"
    return f"{told}, {missed} refused" if missed else told


def memory(found: dict[str, Any] | None) -> str:
    """What fronts and readers held before, at most, and after."""
    if found is None:
        return ""
    kinds = ("memory_before_mib", "memory_most_mib", "memory_after_mib")
    return " → ".join(f"{found[kind]:,.0f}" for kind in kinds)


def met(found: dict[str, Any] | None) -> str:
    """What attackers were answered, the most frequent first."""
    if found is None:
        return ""
    frequent = sorted(found["statuses"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{status} ×{count:,}" for status, count in frequent)


def with_table(page: str, record: dict[str, Any]) -> str:
    """The page with the table of this record, and the machines."""
    machines = "\n".join(f"{run}: {record[run]['machine']}." for run in RUNS if run in record)
    return page_with(page, "attacks", [table(record), "", machines])


if __name__ == "__main__":
    sys.exit(main())
