"""Ten times as many requests as a model can answer, sent whether or not earlier ones were answered.

    python -m benchmarks.overload [--seconds 10] [--times 10] [--queue-limit 64]

The model sleeps, so its capacity is known: 200 images a second. Full load is a closed loop of as many clients as the
service lets in; then requests come in an open loop at `--times` the capacity. Told are the p99 of accepted requests
beside that at full load, how soon the others are refused, whether `Retry-After` fits the queue, and how soon a single
request is answered as quickly as before once the flood has ended. A request's time begins when it is sent; how late
the program itself was in sending is told beside it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.load.hostile import small_image
from benchmarks.load.machine import machine
from benchmarks.load.service import ROOT, Service
from benchmarks.load.sleeping import NAME, PER_SECOND, add_sleeper
from benchmarks.load.wire import Address, Line, request, run
from service.settings import Settings

ASKED = request("POST", f"/classify?model={NAME}", small_image(), media="image/png")
PROGRAM = (sys.executable, "-m", "benchmarks.load.sleeping", "serve")
WORST_RATIO = 2.0
REFUSED_MS = 10.0
RECOVERY_S = 1.0
QUICK_MS = 8 * 1000 / PER_SECOND
"""No more than a few images were ahead of one that is answered so soon."""
PATIENCE_S = 60.0


@dataclass
class Seen:
    """What was answered, and when."""

    accepted_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    retry_after_s: Counter[float] = field(default_factory=Counter)
    recovered_s: float = 0.0
    """From the end of the flood to an answer as quick as an idle service's."""


class Lines:
    """Connections that are taken, used and given back; more are made where none is free."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._free: list[Line] = []

    async def ask(self, seen: Seen) -> int:
        """One request; its status, 0 where the connection broke off."""
        line = self._free.pop() if self._free else Line(self._address)
        began = time.perf_counter()
        try:
            reply = await line.ask(ASKED)
        except OSError:
            seen.statuses["broken off"] += 1
            return 0
        milliseconds = 1000 * (time.perf_counter() - began)
        self._free.append(line)
        seen.statuses[str(reply.status)] += 1
        if reply.status == 200:
            seen.accepted_ms.append(milliseconds)
        elif reply.status == 429:
            seen.refused_ms.append(milliseconds)
            seen.retry_after_s[reply.retry_after_s] += 1
        return reply.status

    def close(self) -> None:
        """Hang up."""
        for line in self._free:
            line.close()


async def closed(address: Address, clients: int, seconds: float) -> Seen:
    """So many clients, each of which waits for its answer before it asks again."""
    seen, lines, until = Seen(), Lines(address), time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < until:
            await lines.ask(seen)

    await asyncio.gather(*(client() for _ in range(clients)))
    lines.close()
    return seen


async def opened(address: Address, per_second: float, seconds: float) -> Seen:
    """Requests at a steady rate, whatever becomes of them."""
    seen, lines, began = Seen(), Lines(address), time.perf_counter()
    tasks: set[asyncio.Task[int]] = set()
    for number in range(int(per_second * seconds)):
        due = began + number / per_second
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        seen.late_ms.append(max(0.0, 1000 * (time.perf_counter() - due)))
        task = asyncio.create_task(lines.ask(seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if number % 10 == 9:
            await asyncio.sleep(0)
    ended = time.monotonic()
    seen.recovered_s = await _recovered(address) - ended
    if tasks:
        await asyncio.wait(tasks, timeout=PATIENCE_S)
    lines.close()
    return seen


async def _recovered(address: Address) -> float:
    """The moment at which a single request was answered as quickly as by an idle service."""
    seen, lines = Seen(), Lines(address)
    while True:
        before = len(seen.accepted_ms)
        await lines.ask(seen)
        if len(seen.accepted_ms) > before and seen.accepted_ms[-1] < QUICK_MS:
            lines.close()
            return time.monotonic()
        await asyncio.sleep(0.01)


def main() -> int:
    """Measure, and say it; 1 where the flood costs those who were let in more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of full load, and of the flood")
    parser.add_argument("--times", type=float, default=10.0, help="the capacity")
    parser.add_argument("--queue-limit", type=int, default=64, help="CHAPTERHOUSE_QUEUE_LIMIT of the service")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="chapterhouse-overload-") as directory:
        add_sleeper(Path(directory) / "state" / "models")
        given = {"PRELOAD": NAME, "QUEUE_LIMIT": options.queue_limit, "FRONTS": 1}
        with Service(Path(directory), program=PROGRAM, source=ROOT, **given) as service:
            # What one client gets while it is alone; before there were shares it was all.
            share = getattr(Settings(), "client_share", 1.0)
            clients = int(options.queue_limit * share)
            full = run(closed(service.address, clients, options.seconds))
            flood = run(opened(service.address, options.times * PER_SECOND, options.seconds))
    print(f"full load, {clients} clients: {told(full, options.seconds)}")
    print(f"{options.times * PER_SECOND:,.0f} requests a second: {told(flood, options.seconds)}")
    late = f"p50 {percentile(flood.late_ms, 50):.1f} ms, p99 {percentile(flood.late_ms, 99):.1f} ms"
    print(f"sent later than due: {late}; recovered {flood.recovered_s:.2f} s after the flood")
    wrong = faults(full, flood, options.queue_limit / PER_SECOND)
    print("\n".join(wrong) or "those who were let in waited as at full load, the others were told at once")
    return 1 if wrong else 0


def told(seen: Seen, seconds: float) -> str:
    """A line of what was answered."""
    words = [f"{len(seen.accepted_ms) / seconds:.0f} accepted a second, p99 {percentile(seen.accepted_ms, 99):.0f} ms"]
    if seen.refused_ms:
        times = f"p50 {percentile(seen.refused_ms, 50):.1f} ms, p99 {percentile(seen.refused_ms, 99):.1f} ms"
        after = ", ".join(f"{after:.0f} s" for after in sorted(seen.retry_after_s))
        words.append(f"{len(seen.refused_ms) / seconds:.0f} refused a second, {times}, Retry-After {after}")
    words.append(", ".join(f"{status}: {count:,}" for status, count in sorted(seen.statuses.items())))
    return "; ".join(words)


def faults(full: Seen, flood: Seen, queue_s: float) -> list[str]:
    """What the flood did that it should not. A queue that is full is worked off in `queue_s`."""
    found = []
    ratio = percentile(flood.accepted_ms, 99) / percentile(full.accepted_ms, 99)
    if not ratio <= WORST_RATIO:
        found.append(f"the p99 of accepted requests is {ratio:.1f} times that at full load")
    if not percentile(flood.refused_ms, 50) <= REFUSED_MS:
        found.append(f"half of the refusals take longer than {REFUSED_MS:.0f} ms")
    if unfit := [after for after in flood.retry_after_s if not queue_s <= after <= queue_s + 1]:
        found.append(f"Retry-After says {unfit}, and a full queue is worked off in {queue_s:.1f} s")
    if flood.recovered_s > RECOVERY_S:
        found.append(f"recovery took {flood.recovered_s:.1f} s")
    if strange := set(flood.statuses) - {"200", "429"}:
        found.append(f"some were answered otherwise: {sorted(strange)}")
    return found


def percentile(values: list[float], percent: float) -> float:
    """A percentile; not a number where there are no values."""
    return float(np.percentile(values, percent)) if values else float("nan")


if __name__ == "__main__":
    sys.exit(main())
