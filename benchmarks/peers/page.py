"""The tables of docs/benchmarks.md, from docs/benchmarks.json."""

from typing import Any

from benchmarks.load.writing import between
from benchmarks.peers.goals import goals, reading
from benchmarks.peers.registry import PEERS

BEGIN, END = "<!-- peers: written by `make bench-peers` -->", "<!-- end of peers -->"
CONNECTIONS = (1, 16, 64, 256)
NET = (
    "`python -m benchmarks.throughput --write` holds every classifier of chapters 4 and 5, asked in forms of many\n"
    "images, against torch alone at the batch size that suits it best: images per second of processor time,\n"
    "the client's taken out."
)

Record = dict[str, Any]


def page_with(page: str, record: Record) -> str:
    """The page with the tables of this record between its marks."""
    return between(page, "peers", (BEGIN, END), [tables(record)])


def tables(record: Record) -> str:
    """All that was measured."""
    parts = [run_of(record)] if "closed" in record else ["Nothing has been measured yet."]
    for model in record.get("closed", {}):
        parts += [f"### {model}", closed_table(record, model), noise_of(record, model)]
        parts += [alone_of(record, model), open_table(record, model), same_table(record, model)]
    if "closed" in record:
        parts += ["### Goals", goals_table(record)]
    for run, found in record.get("profile", {}).items():
        parts += [f"### Where a request's time goes, {run}", f"{found['machine']}.", profile_table(found)]
    if "throughput" in record:
        found = record["throughput"]
        parts += ["### A net's own rate", f"{NET}\n\n{found['machine']}.", "\n".join(found["lines"])]
    return "\n\n".join(part for part in parts if part)


def run_of(record: Record) -> str:
    """The machine, versions and the length of the run."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    missing = "".join(f"\n\nNot run: {PEERS[name].title}: {why}" for name, why in record.get("absent", {}).items())
    said = f"{record['machine']}. {versions}.\n\n{record['rounds']} rounds, {record['seconds']:g} s each reading."
    agreed = " ".join(
        f"All servers gave the same {count} labels for {model}." for model, count in record["agreed"].items()
    )
    return f"{said} {agreed}{missing}"


def closed_table(record: Record, model: str) -> str:
    """Requests per second and p99 by number of connections."""
    numbers = " | ".join(map(str, CONNECTIONS))
    head = f"| requests/s, connections: | {numbers} | p99 ms: {numbers} | CPU µs at 64 | failed |"
    lines = [head, "|---" * (2 * len(CONNECTIONS) + 3) + "|"]
    for name, rounds in record["closed"][model].items():
        cells = [
            cell(reading(record, model, name, count, kind), digits)
            for kind, digits in (("requests_per_s", 0), ("p99_ms", 1))
            for count in CONNECTIONS
        ]
        failed = sum(row["failed"] for rows in rounds for row in rows)
        used = cell(reading(record, model, name, 64, "processor_us"), 0)
        lines.append("| " + " | ".join([PEERS[name].title, *cells, used, f"{failed:,}"]) + " |")
    return "\n".join(lines)


def noise_of(record: Record, model: str) -> str:
    """How far the rounds lie apart."""
    spreads = []
    for rounds in record["closed"][model].values():
        for same in zip(*rounds, strict=False):
            rates = [row["requests_per_s"] for row in same]
            if len(rates) > 1 and max(rates):
                spreads.append((max(rates) - min(rates)) / max(rates))
    if not spreads:
        return "One round, so nothing is known of the noise."
    middle = sorted(spreads)[len(spreads) // 2]
    return f"Noise: rounds of the same reading differ by {middle:.0%} (median) and {max(spreads):.0%} at most."


def alone_of(record: Record, model: str) -> str:
    """The net without a service."""
    rates = record.get("alone", {}).get(model, {})
    if not rates:
        return ""
    listed = " · ".join(f"{batch}: {rate:,.0f}" for batch, rate in rates.items())
    return (
        f"The net alone, as the peers have it (eager, {record['threads'][model]} threads), images/s by batch: {listed}."
    )


def open_table(record: Record, model: str) -> str:
    """Tails at rates that do not wait, as each server can bear them."""
    return tails(record.get("open", {}).get(model, {}), "the server's own capacity")


def same_table(record: Record, model: str) -> str:
    """The same at rates that are one for all who can bear them."""
    return tails(record.get("same", {}).get(model, {}), "the best peer's capacity")


def tails(rows: dict[str, list[Record]], capacity: str) -> str:
    """An open loop's times by shares of a capacity, and how late they began."""
    if not rows:
        return ""
    shares = [row["share"] for row in next(iter(rows.values()))]
    titles = " | ".join(f"{share:.0%}: offered/s | p50 · p99 · p99.9 ms | failed" for share in shares)
    lines = [f"| open loop, of {capacity} | {titles} |", "|---" * (1 + 3 * len(shares)) + "|"]
    for name, found in rows.items():
        cells = [f"{row['per_s']:,.0f} | {times_of(row)} | {row['failed']:,}" for row in found]
        lines.append("| " + " | ".join([PEERS[name].title, *cells]) + " |")
    late = max(row["late_ms"] for found in rows.values() for row in found)
    return "\n".join([*lines, "", f"The program that asks sent its requests late by {late:.1f} ms at most (p99)."])


def times_of(row: dict[str, Any]) -> str:
    """Three percentiles."""
    return " · ".join(f"{row[kind]:.1f}" for kind in ("p50_ms", "p99_ms", "p999_ms"))


def goals_table(record: Record) -> str:
    """What was wanted and what was found."""
    lines = ["| goal | wanted | found | |", "|---|---|---|---|"]
    for goal in goals(record):
        sign = "≤" if goal.most else "≥"
        lines.append(f"| {goal.what} | {sign} {goal.wanted:g} | {cell(goal.found, 2)} | {goal.outcome} |")
    return "\n".join(lines)


def profile_table(found: Record) -> str:
    """Microseconds by role and file."""
    lines = ["| process | file | CPU µs a request |", "|---|---|---|"]
    for role, places in found["microseconds"].items():
        lines += [f"| {role} | {place} | {cost:.1f} |" for place, cost in places.items()]
    return "\n".join(lines)


def cell(value: float | None, digits: int) -> str:
    """A number; empty where there is none."""
    return "" if value is None else f"{value:,.{digits}f}"
