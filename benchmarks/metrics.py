"""Our scores beside those of other tools and beside their matrix products alone, on the same features, in one run.

    make bench-metrics                                          # everything, in an environment of its own; hours
    python -m benchmarks.metrics --scores fid --sizes 10000 --threads 1,2 --rounds 3 --write

An environment of its own, because pytorch-fid breaks from scipy 1.18 on, and because none of the tools is needed for
anything else: benchmarks/scores/requirements.txt says what is in it. Every contender is a process of its own, ready
before the first is asked; they take turns, and the best of the rounds counts. Seconds are those of the clock, so
nothing else may run; memory is what the peak grew by over the features. OPENBLAS_CORETYPE is unset for all. Features
are skewed and correlated as a network's are, in single precision; a tool that is not installed, or fails, is left out.

With `--write` what was measured replaces the same in docs/benchmarks-metrics.jsonl, of which docs/benchmarks-metrics.md
is made; `--render` makes that alone.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scores.contenders import CONTENDERS, Floats
from benchmarks.scores.measured import Measured, machine
from benchmarks.scores.page import read_records, write_records

DIMENSIONS = 2048
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
FACTORS = 8
CHILD = "--contend"


def features_of(n: int, d: int) -> tuple[Floats, Floats]:
    """Two sets that differ a little."""
    return _rectified(n, d, seed=1, shift=0.0), _rectified(n, d, seed=2, shift=0.05)


def _rectified(n: int, d: int, *, seed: int, shift: float) -> Floats:
    factors = np.random.default_rng(0).standard_normal((FACTORS, d), dtype=np.float32) / 4
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n, d), dtype=np.float32)
    mixed *= np.float32(0.3)
    mixed += rng.standard_normal((n, FACTORS), dtype=np.float32) @ factors
    mixed += np.float32(0.2 + shift)
    return np.maximum(mixed, 0, out=mixed)


class Process:
    """One contender, which is asked again and again."""

    def __init__(self, score: str, tool: str, n: int, d: int, threads: int) -> None:
        command = [sys.executable, "-m", "benchmarks.metrics", CHILD, json.dumps([score, tool, n, d])]
        kept = {name: value for name, value in os.environ.items() if name not in UNSET}
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, **dict.fromkeys(THREADS, str(threads)), "PYTHONWARNINGS": "ignore"},
        )

    def ask(self) -> dict[str, Any] | None:
        """Seconds, megabytes and the value of one turn; at the first, that it is ready. None where it failed."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):
            print(file=self._child.stdin, flush=True)
        line = self._child.stdout.readline()
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def end(self) -> str:
        """End it; the last line of what it said of its failure."""
        _, errors = self._child.communicate("")
        return (errors.strip().splitlines() or [""])[-1]


def contend(score: str, tool: str, n: int, d: int) -> None:
    """Answer on standard output, one turn for each line of standard input."""
    run = CONTENDERS[score][tool](*features_of(n, d))
    answers, sys.stdout = sys.stdout, sys.stderr  # some tools print
    sys.stdin.readline()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while sys.stdin.readline():
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = _peak_kilobytes()
        began, worked = time.perf_counter(), time.process_time()
        value = run()
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
        grown = (_peak_kilobytes() - before) / 1024
        answer = {"seconds": seconds, "processor_s": processor, "megabytes": grown, "value": value}
        print(json.dumps(answer), file=answers, flush=True)


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def race(score: str, tools: Sequence[str], n: int, d: int, threads: int, rounds: int, patience_s: float) -> Measured:
    """Let the contenders of a score take turns; the best turn of each. One that is slower than this has only one."""
    running = {tool: Process(score, tool, n, d, threads) for tool in tools}
    turns: dict[str, list[dict[str, Any]]] = {tool: [] for tool in tools}
    for tool in [tool for tool, process in running.items() if process.ask() is None]:
        print(f"  {tool:<48} left out: {running.pop(tool).end()}", flush=True)
    for _, (tool, process) in product(range(rounds), list(running.items())):
        if turns[tool] and turns[tool][0]["seconds"] > patience_s:
            continue
        if answer := process.ask():
            turns[tool].append(answer)
            times = f"{answer['seconds']:9.3f} s ({answer['processor_s']:.3f} of the processor)"
            numbers = f"{times} {answer['megabytes']:7.0f} MB   {answer['value']:.9g}"
            print(f"  {tool:<48}{numbers}", flush=True)
    for process in running.values():
        process.end()
    best = {tool: min(some, key=lambda one: float(one["seconds"])) for tool, some in turns.items() if some}
    return Measured(score, n, d, threads, rounds, machine(), best)


def chosen(score: str, only: str, left_out: str) -> list[str]:
    """The contenders that are asked for."""
    wanted, unwanted = ([name for name in names.split(",") if name] for names in (only, left_out))
    tools = [tool for tool in CONTENDERS[score] if not wanted or tool in wanted]
    return [tool for tool in tools if not tool.startswith(tuple(unwanted))]


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=float("inf"), help="seconds from which on one turn is enough")
    parser.add_argument("--sizes", default="1000,10000,50000", help="samples a side, with commas")
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--scores", default=",".join(CONTENDERS))
    parser.add_argument("--leave-out", default="", help="contenders whose names begin so, with commas")
    parser.add_argument("--only", default="", help="contenders of just these names, with commas")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--render", action="store_true")
    parser.add_argument(CHILD, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contend:
        contend(*json.loads(asked.contend))
        return
    if asked.render:
        write_records(read_records())
        return
    for score, n, threads in product(asked.scores.split(","), asked.sizes.split(","), asked.threads.split(",")):
        print(f"\n{score}, {int(n):,} × {asked.dimensions:,} a side, threads: {threads}", flush=True)
        tools = chosen(score, asked.only, asked.leave_out)
        measured = race(score, tools, int(n), asked.dimensions, int(threads), asked.rounds, asked.patience)
        if asked.write:
            write_records([*read_records(), measured])


if __name__ == "__main__":
    main()
