"""`kill -9` of fronts, engines and evaluators: every accepted evaluation finishes, with the same number.

    python benchmarks/kills.py [--rounds 50] [--samples 3000] [--seed 0]

A round sends evaluations of the same samples, and a reference to be stored, and at a random moment until they would be
over kills one process of a random role. Settings of the environment (CHAPTERHOUSE_…) are passed on, but for the port
and the state directory.
"""

import argparse
import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

ROLES = ("front", "engine", "evaluator")
AT_ONCE = 2
"""Evaluations of a round."""
PATIENCE_S = 600.0
METRICS = ("fid", "mmd")
STORED = "reference"


@dataclass
class Tally:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    undisturbed_s: float = 0.0
    slowest_s: float = 0.0
    sent_again: int = 0
    wrong: list[str] = field(default_factory=list)


class Service:
    """A running service, its processes, and what it is asked."""

    def __init__(self, url: str, pid: int, samples: int) -> None:
        self._pid = pid
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_S)
        rng = np.random.default_rng(0)
        self._files = {
            "generated": _packed(rng.integers(0, 256, (samples, 28, 28), np.uint8)),
            "reference": _packed(rng.integers(0, 200, (samples, 28, 28), np.uint8)),
        }
        self.sent_again = 0

    def wait_until_ready(self) -> None:
        """Wait until every wanted model is warm."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                if self._http.get("/health/ready").status_code == 200:
                    return
            assert time.monotonic() < until, "the service is not ready"
            time.sleep(0.1)

    def send(self, seed: int) -> str:
        """Have the samples evaluated; the id. What breaks off or is refused for the moment is sent again."""
        return self._accepted("POST", "/evaluate", self._files, {"metrics": ",".join(METRICS), "seed": str(seed)})

    def store(self, name: str) -> str:
        """Have the real samples stored as a reference; the id of what does it."""
        return self._accepted("PUT", f"/references/{name}", {"reference": self._files["reference"]}, {})

    def _accepted(self, method: str, path: str, files: dict[str, bytes], form: dict[str, str]) -> str:
        while True:
            with suppress(httpx.TransportError):
                reply = self._http.request(method, path, files=files, data=form, headers={"prefer": "wait=0"})
                if reply.status_code in (200, 202):
                    return str(reply.json()["id"])
                assert reply.status_code == 503, reply.text
            self.sent_again += 1
            time.sleep(0.2)

    def result(self, evaluation_id: str) -> dict[str, Any]:
        """How an evaluation ended."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                state: dict[str, Any] = self._http.get(f"/evaluations/{evaluation_id}").json()
                if state["status"] in ("finished", "failed", "cancelled"):
                    return state
            assert time.monotonic() < until, f"{evaluation_id} is not over"
            time.sleep(0.05)

    def everything(self) -> list[str]:
        """Every evaluation that was accepted, also those whose acceptance its caller never heard of."""
        return [row["id"] for row in self._told("/evaluations", limit=1000)["evaluations"]]

    def references(self) -> dict[str, str]:
        """The stored references of the rounds, and what each holds."""
        listed = self._told("/references")["references"]
        return {row["name"]: f"{row['count']} {row['sha256']}" for row in listed if not row["shipped"]}

    def _told(self, path: str, **parameters: int) -> dict[str, Any]:
        """A document, asked for again where the front that was asked is killed."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                document: dict[str, Any] = self._http.get(path, params=parameters).raise_for_status().json()
                return document
            assert time.monotonic() < until, f"{path} is not answered"
            time.sleep(0.05)

    def kill(self, role: str) -> bool:
        """Kill a process of this role as the kernel would; whether there was one."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                if parent == self._pid and words[3] == role:
                    os.kill(int(folder.name), signal.SIGKILL)
                    return True
        return False


def main() -> int:
    """Kill, and say what became of the evaluations; 1 where one was lost or came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--samples", type=int, default=3000, help="images on either side")
    parser.add_argument("--seed", type=int, default=0, help="of roles and moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chapterhouse-kills-") as directory, serving(Path(directory)) as running:
        service = Service(*running, options.samples)
        service.wait_until_ready()
        tally = disturb(service, options.rounds, random.Random(options.seed))
        count, stored = len(service.everything()), len(service.references())
    killed = ", ".join(f"{role} {tally.kills[role]}" for role in ROLES)
    work = f"{count - stored} evaluations of {options.samples:,} images a side and {stored} references"
    print(f"{sum(tally.kills.values())} kills ({killed}) during {work}")
    print(f"an evaluation takes {tally.undisturbed_s:.1f} s undisturbed, {tally.slowest_s:.1f} s at most with a kill")
    print(f"{service.sent_again} uploads broke off and were sent again")
    print("\n".join(tally.wrong) or "every accepted evaluation finished, with the same numbers")
    return 1 if tally.wrong else 0


def disturb(service: Service, rounds: int, rng: random.Random) -> Tally:
    """Rounds of evaluations with a kill each, compared with what comes out undisturbed."""
    tally = Tally()
    began = time.monotonic()
    right = _values(service.result(service.send(0)))
    tally.undisturbed_s = time.monotonic() - began
    for number in range(1, rounds + 1):
        role, moment = rng.choice(ROLES), rng.uniform(0, AT_ONCE * tally.undisturbed_s)
        killer = threading.Timer(moment, lambda role=role: tally.kills.update([role] * service.kill(role)))
        began = time.monotonic()
        killer.start()
        ids = [service.send(number * AT_ONCE + place) for place in range(AT_ONCE)]
        ids.append(service.store(f"round-{number}"))
        for evaluation_id in ids:
            service.result(evaluation_id)
        tally.slowest_s = max(tally.slowest_s, time.monotonic() - began)
        killer.join()
        print(f"round {number}: {role} at {moment:.2f} s, over after {time.monotonic() - began:.2f} s", flush=True)
    for evaluation_id in service.everything():
        found = _values(service.result(evaluation_id))
        if found not in (right, STORED):
            tally.wrong.append(f"{evaluation_id}: {found} instead of {right}")
    stored = service.references()
    if len(stored) != rounds or len(set(stored.values())) != 1:
        tally.wrong.append(f"{rounds} references were sent, these are stored: {stored}")
    return tally


def _values(state: dict[str, Any]) -> object:
    """The numbers of a report; of anything else, how it ended."""
    if state["status"] != "finished":
        return state
    if state.get("kind") == STORED:
        return STORED
    return {name: state["metrics"][name]["value"] for name in METRICS}


def _packed(images: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, images=images)
    return stream.getvalue()


@contextmanager
def serving(directory: Path, **further: str) -> Iterator[tuple[str, int]]:
    """A service of its own on a free port, with `further` settings: its address and its supervisor's process."""
    settings = {"CHAPTERHOUSE_PORT": "0", "CHAPTERHOUSE_STATE_DIR": str(directory / "state"), **further}
    command = [sys.executable, "-m", "service", "serve"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=log)
        try:
            yield _address(directory / "log"), process.pid
        except BaseException:
            print((directory / "log").read_text("utf-8")[-5000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _address(log: Path) -> str:
    """Where a service says in its log that it serves."""
    until = time.monotonic() + PATIENCE_S
    while not (found := re.search(r"serving on (\S+)\n", log.read_text("utf-8"))):
        assert time.monotonic() < until, "the service does not begin"
        time.sleep(0.1)
    return found[1]


if __name__ == "__main__":
    sys.exit(main())
