"""Several services over one PostgreSQL and one store of objects, while each of them is killed, restarted or halted.

    python -m benchmarks.pods [--seconds 600] [--pods 2] [--senders 3] [--gentle] [--seed 0]

Clients send evaluations to any of them, and again what broke off or was refused for the moment; each is done by the
engines of all. Every few seconds a whole service gets SIGKILL and another begins in its place with nothing on its disk,
as a pod does on another machine; the database is restarted; the store answers nobody for a while. In the end every
evaluation that was accepted, also where its caller never heard of it, has to be finished with the numbers that an
undisturbed one gave, and all services have to show the same reports and count nothing as open. It needs Debian's
postgresql, and `make pods` installs the rest. Clients share the cores, so times are not the services' alone.
"""

import argparse
import asyncio
import itertools
import os
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import numpy as np

from benchmarks.load.machine import free_port, machine
from benchmarks.load.service import Service
from benchmarks.load.stores import Objects, Postgres, why_no_objects, why_no_postgres

SAMPLES = 400
METRICS = "fid,mmd"
KILL_EVERY_S, RESTART_EVERY_S, HALT_EVERY_S = 25.0, 45.0, 30.0
AWAY_S, HALTED_S = (1.0, 8.0), (1.0, 10.0)
"""For how long the database is down, and the store silent."""
ASK_AGAIN_S, LOOK_S = 0.5, 1.0
PATIENCE_S = 600.0
IDLE_S, SCRAPE_EVERY_S = 60.0, 10.0
KEPT = 1000
OVER = ("finished", "failed", "cancelled")
REFUSED_FOR_NOW = (429, 502, 503, 504)


class Pods:
    """The services, those who send to them, and what happens around them."""

    def __init__(self, folder: Path, database: Postgres, store: Objects, options: argparse.Namespace) -> None:
        self._folder = folder
        self._database = database
        self._store = store
        self._rng = random.Random(options.seed)
        self._secret = secrets.token_hex(32)
        self._slowly = 2.0 if options.gentle else 1.0
        self._senders: int = options.senders
        self._names = (f"pod-{number}" for number in itertools.count())
        self._seeds = itertools.count()
        self._files = _samples()
        self._right: dict[str, float] = {}
        self._urls: dict[int, str] = {}
        self.pods: list[Service] = [self._begun() for _ in range(options.pods)]
        self.accepted: set[str] = set()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.idle_a_second = 0.0

    async def run(self, seconds: float) -> None:
        """Learn, disturb, and look at everything that was accepted."""
        for place in range(len(self.pods)):
            await self._wait_for(place)
        async with httpx.AsyncClient(timeout=60) as client:
            first = await self._send(client)
            self._right = _values(await self._outcome(client, first))
            await self._idle(client)
            until = time.monotonic() + seconds
            disturbing = [
                asyncio.create_task(self._disturb(act, every_s * self._slowly, until))
                for act, every_s in (("kill", KILL_EVERY_S), ("restart", RESTART_EVERY_S), ("halt", HALT_EVERY_S))
            ]
            await asyncio.gather(*(self._keep_sending(client, until) for _ in range(self._senders)), *disturbing)
            await self._account(client)

    async def _idle(self, client: httpx.AsyncClient) -> None:
        """Count what services ask of the database that have nothing to do but to say how they are."""
        began, counted = time.monotonic(), await asyncio.to_thread(self._database.transactions)
        while time.monotonic() < began + IDLE_S:
            for url in self._urls.values():
                await client.get(f"{url}/health/ready")
                await client.get(f"{url}/metrics")
            await asyncio.sleep(SCRAPE_EVERY_S)
        asked = await asyncio.to_thread(self._database.transactions) - counted
        self.idle_a_second = asked / (time.monotonic() - began) / len(self.pods)

    def end(self) -> None:
        """End all services."""
        for pod in self.pods:
            pod.__exit__()

    def _begun(self) -> Service:
        return Service(
            self._folder / next(self._names),
            FRONTS=1,
            EVALUATORS=1,
            DEVICES="cpu",
            THREADS=1,
            DATABASE_URL=self._database.address,
            STORAGE_URL=self._store.address,
            ENGINES_ADDRESS=f"127.0.0.1:{free_port()}",
            ENGINES_SECRET=self._secret,
        )

    async def _keep_sending(self, client: httpx.AsyncClient, until: float) -> None:
        while time.monotonic() < until:
            self.accepted.add(await self._send(client))

    async def _send(self, client: httpx.AsyncClient) -> str:
        """Send an evaluation of a seed of its own, which changes no number, until it is accepted; its id."""
        fields = {"metrics": METRICS, "seed": str(next(self._seeds)), "intervals": "false"}
        while True:
            try:
                url = f"{self._any()}/evaluate"
                reply = await client.post(url, files=self._files, data=fields, headers={"prefer": "wait=0"})
            except httpx.TransportError:
                self.done["sent again: broken off"] += 1
            else:
                if reply.status_code in (200, 202):
                    return str(reply.json()["id"])
                if reply.status_code not in REFUSED_FOR_NOW or "retry-after" not in reply.headers:
                    self.wrong.append(f"an upload was answered with {reply.status_code}: {reply.text[:200]}")
                self.done[f"sent again: {reply.status_code}"] += 1
            await asyncio.sleep(ASK_AGAIN_S)

    async def _disturb(self, act: str, every_s: float, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * every_s)
            self.done[act] += 1
            await {"kill": self._kill, "restart": self._restart, "halt": self._halt}[act]()

    async def _kill(self) -> None:
        """Kill a service as a machine that loses its power does, and begin another with an empty disk."""
        place = self._rng.randrange(len(self.pods))
        old = self.pods[place]
        os.kill(old.pid, SIGKILL)
        self._urls.pop(place)
        self.pods[place] = self._begun()
        await asyncio.to_thread(old.__exit__)
        await self._wait_for(place)

    async def _wait_for(self, place: int) -> None:
        """Send nothing to a service before it is ready."""
        await asyncio.to_thread(self.pods[place].wait_until_ready)
        self._urls[place] = self.pods[place].url

    def _any(self) -> str:
        """The address of one of those that serve."""
        return self._rng.choice(list(self._urls.values()))

    async def _restart(self) -> None:
        await asyncio.to_thread(self._database.stop)
        await asyncio.sleep(self._rng.uniform(*AWAY_S))
        await asyncio.to_thread(self._database.start)

    async def _halt(self) -> None:
        self._store.halt()
        await asyncio.sleep(self._rng.uniform(*HALTED_S))
        self._store.go_on()

    async def _outcome(self, client: httpx.AsyncClient, name: str) -> dict[str, Any]:
        """What an evaluation ended with, asked of any service."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            reply = await client.get(f"{self._any()}/evaluations/{name}")
            state: dict[str, Any] = reply.json() if reply.status_code == httpx.codes.OK else {}
            if state.get("status") in OVER or reply.status_code == httpx.codes.NOT_FOUND:
                return {"status": "there is none of this name", **state}
            await asyncio.sleep(LOOK_S)
        return {"status": f"{name} is not over after {PATIENCE_S:.0f} s"}

    async def _account(self, client: httpx.AsyncClient) -> None:
        """Look at all evaluations that there are."""
        listed = (await client.get(f"{self._any()}/evaluations?limit={KEPT}")).json()["evaluations"]
        known = self.accepted.union(row["id"] for row in listed)
        for name in sorted(known):
            state = await self._outcome(client, name)
            if state["status"] != "finished" or _values(state) != self._right:
                self.wrong.append(f"{name}: {str(state)[:300]}")
        self.done["finished"] = len(known)
        name = min(known)
        told = [
            await client.get(f"{url}/evaluations/{name}", headers={"accept": "text/html"})
            for url in self._urls.values()
        ]
        pages = {reply.text for reply in told}
        if len(pages) != 1:
            self.wrong.append("services do not show the same page of a report")
        open_here = [await _open_evaluations(client, url) for url in self._urls.values()]
        if any(open_here):
            self.wrong.append(f"all evaluations are over, and services count {open_here} as open")


async def _open_evaluations(client: httpx.AsyncClient, url: str) -> float:
    name = "chapterhouse_evaluations_open"
    text = (await client.get(f"{url}/metrics", params={"name[]": name})).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def _values(report: dict[str, Any]) -> dict[str, float]:
    """The scores, on which the seed has no influence."""
    return {name: entry["value"] for name, entry in report.get("metrics", {}).items()}


def _samples() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for name, brightest in (("generated", 256), ("reference", 200)):
        stream = BytesIO()
        np.savez(stream, images=rng.integers(0, brightest, (SAMPLES, 28, 28), np.uint8))
        files[name] = stream.getvalue()
    return files


def main() -> int:
    """Run, and say what became of the evaluations; 1 where one was lost, or has other numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--pods", type=int, default=2)
    parser.add_argument("--senders", type=int, default=3)
    parser.add_argument("--gentle", action="store_true", help="for a busy machine: half as many disturbances")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if missing := why_no_postgres() or why_no_objects():
        print(missing, file=sys.stderr)
        return 2
    print(machine())
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chapterhouse-pods-"))
        database, store = stack.enter_context(Postgres()), stack.enter_context(Objects())
        os.environ.update(store.environment)
        pods = Pods(Path(folder), database, store, options)
        stack.callback(pods.end)
        asyncio.run(pods.run(options.seconds))
    print(f"{options.seconds:.0f} s: " + ", ".join(f"{what} {count}" for what, count in sorted(pods.done.items())))
    print(f"an idle service made {pods.idle_a_second:.2f} transactions a second, probes and scrapes included")
    print("\n".join(pods.wrong) or "every evaluation that was accepted was finished once, with the same numbers")
    return 1 if pods.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
