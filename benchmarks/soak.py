"""A million requests: the last hundred thousand take as long and as much memory as the first.

    python -m benchmarks.soak [--requests 1000000] [--seconds 0] [--clients 16] [--seed 0]

Well-behaved clients ask a mixture of images, seeds and series in a closed loop and compare every answer. The first and
the last tenth are compared: their p99, and what each process holds at their ends. `--seconds` ends it earlier; then
the tenths are those of what was answered. Nothing is disturbed, so nothing may be refused or broken off either.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load.machine import machine
from benchmarks.load.service import Service
from benchmarks.load.steady import Tally, keep_asking, learn, questions
from benchmarks.load.wire import run

SLOWER = 1.25
"""The last p99 beside the first: less than this is the machine's own unrest."""
LARGER = 1.05
LOOK_EVERY_S = 1.0


class Soak:
    """A service, its clients, and what it held while they went on."""

    def __init__(self, service: Service, *, clients: int, requests: int, seconds: float, seed: int) -> None:
        self._service = service
        self._clients = clients
        self._requests = requests
        self._until = time.monotonic() + seconds if seconds else float("inf")
        self._asked = questions(seed, images=512, draws=1)
        self.tally = Tally()
        self.held: list[tuple[int, dict[str, float]]] = []
        """Memory by role, each with how many requests had been answered."""

    async def run(self) -> None:
        """Ask until all is answered, or time is up."""
        await learn(self._service.address, self._asked)
        clients = (
            keep_asking(self._service.address, self._asked, self.tally, self._over, start=5 * number)
            for number in range(self._clients)
        )
        looking = asyncio.create_task(self._look())
        await asyncio.gather(*clients)
        looking.cancel()
        self.held.append((self.tally.answered, self._service.memory_mib()))

    def _over(self) -> bool:
        return self.tally.answered >= self._requests or time.monotonic() > self._until

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.held.append((self.tally.answered, await asyncio.to_thread(self._service.memory_mib)))

    def held_after(self, answered: int) -> dict[str, float]:
        """Memory when so many requests had been answered."""
        return next(memory for count, memory in self.held if count >= answered)


def main() -> int:
    """Soak, and say what changed; 1 where it did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=0.0, help="end then at the latest; 0 is no end")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="chapterhouse-soak-") as directory:
        service = Service(Path(directory))
        with service:
            soak = Soak(service, **vars(options))
            began = time.monotonic()
            run(soak.run())
            took_s = time.monotonic() - began
        left = service.left_behind()
    tally = soak.tally
    tenth = tally.answered // 10
    first_ms = tally.percentile_ms(99, until=tenth)
    last_ms = tally.percentile_ms(99, since=tally.answered - tenth)
    first, last = soak.held_after(tenth), soak.held[-1][1]
    print(f"{tally.answered:,} requests in {took_s:.0f} s, asked again: {dict(tally.attempts) or 'none'}")
    print(f"p99 of the first {tenth:,}: {first_ms:.1f} ms, of the last: {last_ms:.1f} ms")
    print("memory MiB: " + ", ".join(f"{role} {first.get(role, 0):.1f} → {last[role]:.1f}" for role in last))
    wrong = [*tally.wrong, *tally.unanswered, *(f"left behind: {path}" for path in left)]
    wrong += [f"{role} grew" for role in last if last[role] > LARGER * first.get(role, last[role])]
    wrong += [f"the last are {last_ms / first_ms:.2f} times as slow"] if last_ms > SLOWER * first_ms else []
    print("\n".join(wrong) or "the last are as the first")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
