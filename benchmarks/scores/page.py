"""What was measured, kept as lines of JSON, and the page that shows it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.writing import between
from benchmarks.scores.contenders import CONTENDERS, OURS
from benchmarks.scores.goals import verdicts
from benchmarks.scores.measured import Measured

DOCS = Path(__file__).parents[2] / "docs"
RECORDS = DOCS / "benchmarks-metrics.jsonl"
PAGE = DOCS / "benchmarks-metrics.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
TITLES = {
    "fid": "FID from features",
    "kid": "KID",
    "prdc": "Precision, recall, density and coverage",
    "one_nn": "1-NN",
    "wasserstein": "Wasserstein distance",
}


def read_records() -> list[Measured]:
    """What was measured so far."""
    if not RECORDS.exists():
        return []
    return [Measured(**json.loads(line)) for line in RECORDS.read_text("utf-8").splitlines()]


def write_records(measured: Sequence[Measured]) -> None:
    """Keep the last measurement of each kind, and write the page's tables."""
    kept = {one.key: one for one in measured}
    last = [kept[key] for key in sorted(kept)]
    RECORDS.write_text("".join(f"{json.dumps(asdict(one), sort_keys=True)}\n" for one in last), "utf-8")
    lines = "".join(tables(last)).splitlines()
    PAGE.write_text(between(PAGE.read_text("utf-8"), "scores", (BEGIN, END), lines), "utf-8")


def tables(measured: Sequence[Measured]) -> Iterator[str]:
    """What was reached of the goals, and a table of seconds and one of memory for each score."""
    yield "\n## What was to be reached\n\n"
    yield from verdicts(measured)
    for score, title in TITLES.items():
        runs = [one for one in measured if one.score == score]
        if not runs:
            continue
        yield f"\n## {title}\n\n"
        yield from _table(runs, "seconds")
        yield "\nPeak of memory over the features, in MB:\n\n"
        yield from _table([one for one in runs if one.threads == 1] or runs, "megabytes")
    for one in {json.dumps(run.machine, sort_keys=True): run.machine for run in measured}.values():
        parts = sorted(one.items(), key=lambda part: part[0] != "processor")
        yield f"\nMeasured on {', '.join(f'{name} {what}' for name, what in parts)}.\n"


def _table(runs: Sequence[Measured], unit: str) -> Iterator[str]:
    heads = (f"{one.n:,}{_threads(one)}" for one in runs)
    yield f"| | {' | '.join(heads)} |\n|---{'|---:' * len(runs)}|\n"
    for tool in CONTENDERS[runs[0].score]:
        cells = [_cell(one.results, tool, unit) for one in runs]
        if any(cells):
            yield f"| {tool} | {' | '.join(cells)} |\n"


def _threads(one: Measured) -> str:
    return " · one thread" if one.threads == 1 else f" · {one.threads} threads"


def _cell(results: dict[str, dict[str, Any]], tool: str, unit: str) -> str:
    """A number, and how many times ours it is."""
    if tool not in results:
        return ""
    found, ours = float(results[tool][unit]), results.get(OURS)
    shown = f"{found:,.0f}" if unit == "megabytes" or found >= 100 else f"{found:.3g}"
    if tool == OURS or ours is None or ours[unit] < 1e-9 or unit == "megabytes":
        return shown
    return f"{shown} ({found / float(ours[unit]):.2f} ×)"
