"""One command for a machine with a card and ten minutes: what the card can do, what the service makes of it.

    python -m benchmarks.device --budget 600 --out DIR [--steps ceilings,forms] [--dry-run]

Each step is a process of its own with its own limit, and keeps its results as it goes, a line each in DIR/<step>.jsonl;
what takes too long or dies takes nothing from the next. DIR/table.md is written anew after every step. `--dry-run`
rehearses all steps in a short form without any card: on the processor, and on a simulated card.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.card import ceilings, failing, forms, measuring, parity, serving, shares, trainings
from benchmarks.card.place import Place
from benchmarks.load.machine import machine

ROOT = Path(__file__).parents[1]
SHORTEST_S = 10.0
REHEARSED = (
    "`python -m benchmarks.device --dry-run --out DIR`: every step in its short form, on the processor and on a",
    "simulated card. That all of it runs is what it shows, and how the table of a card will look; no number is of one.",
)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the benchmark."""

    what: str
    run: Callable[[Place], None]
    share: float
    """Its part of the budget; what others leave is its, too."""


STEPS = {
    "ceilings": Step("What the card can do at most", ceilings.run, 0.04),
    "parity": Step("Every net beside the processor, in float32", parity.run, 0.13),
    "failing": Step("Memory that is short, a context that dies", failing.run, 0.06),
    "forms": Step("Forward passes without a service", forms.run, 0.14),
    "shares": Step("What an engine and the service leave of the card's own speed", shares.run, 0.14),
    "serving": Step("The service with several engines on the card", serving.run, 0.17),
    "evaluation": Step("An evaluation of 50,000 images", serving.evaluate, 0.10),
    "measuring": Step("Metrics on the card beside numpy's", measuring.run, 0.08),
    "trainings": Step("Trainings by the clock", trainings.run, 0.14),
}


def main() -> int:
    """Run all steps, or one of them in this process; how many did not end well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds for all steps together")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the results")
    parser.add_argument("--steps", default=",".join(STEPS), help="those that run, separated by commas")
    parser.add_argument("--dry-run", action="store_true", help="a short form without a card")
    parser.add_argument("--alone", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        STEPS[options.alone].run(Place(options.alone, options.out, options.budget, options.dry_run))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in STEPS if name in options.steps.split(",")]
    return run_all(names, options.out, options.budget, rehearsal=options.dry_run)


def run_all(names: Iterable[str], out: Path, budget_s: float, *, rehearsal: bool) -> int:
    """Run steps one after the other, each within its part of what is left; how many did not end well."""
    began, left, ended = time.monotonic(), list(names), dict[str, str]()
    while left:
        name = left.pop(0)
        remaining_s = budget_s - (time.monotonic() - began)
        share = STEPS[name].share / sum(STEPS[other].share for other in [name, *left])
        ended[name] = run_step(name, out, remaining_s * share, rehearsal=rehearsal)
        (out / "table.md").write_text(table(out, ended, rehearsal=rehearsal), "utf-8")
    print(f"{out / 'table.md'} after {time.monotonic() - began:.0f} s")
    return sum(not how.startswith("done") for how in ended.values())


def run_step(name: str, out: Path, limit_s: float, *, rehearsal: bool) -> str:
    """Run one in a process of its own; how it ended, in words."""
    (out / f"{name}.jsonl").unlink(missing_ok=True)
    if limit_s < SHORTEST_S:
        return "left out: no time was left"
    command = [sys.executable, "-m", "benchmarks.device", "--alone", name, "--out", str(out)]
    command += ["--budget", str(limit_s), *(["--dry-run"] if rehearsal else [])]
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (out / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # with all that it has started
            process.wait()
            return f"stopped at its limit of {limit_s:.0f} s"
    took = f"{time.monotonic() - began:.0f} of {limit_s:.0f} s"
    return f"done in {took}" if code == 0 else f"ended with {code} after {took}; {name}.log says why"


def table(out: Path, ended: dict[str, str], *, rehearsal: bool) -> str:
    """All results so far, as Markdown."""
    lines = [f"# {'A rehearsal without a card' if rehearsal else card()}", "", f"On {machine()}.", ""]
    lines += [*REHEARSED, ""] if rehearsal else []
    for name, how in ended.items():
        lines += [f"## {STEPS[name].what}", "", f"`{name}`: {how}.", ""]
        lines += [*_rows(_read(out / f"{name}.jsonl")), ""]
    return "\n".join(lines)


def card() -> str:
    """What the card is called, by its driver."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "An unknown card"
    return "; ".join(line.strip() for line in told.splitlines())


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _rows(results: list[dict[str, Any]]) -> list[str]:
    """A table with a column for each word that is used."""
    if not results:
        return ["Nothing was measured."]
    columns = list(dict.fromkeys(column for row in results for column in row))
    cells = [[_shown(row.get(column, "")) for column in columns] for row in results]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in cells)]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "/")


if __name__ == "__main__":
    sys.exit(main())
