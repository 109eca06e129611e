"""What the service is to reach beside its peers, as ratios within one run, and what it reached."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.peers.registry import OURS as ALL_OURS

OURS, FLOAT32 = ALL_OURS
MOSEC, DECODER = "mosec", "mosec-decoder"
LENET, NIN = "lenet5-mnist", "nin-cifar10"
MOST_US = 200.0

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """One ratio; `found` is None where it was not measured."""

    what: str
    wanted: float
    found: float | None
    most: bool = False

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.found is None:
            return "not measured"
        kept = self.found <= self.wanted if self.most else self.found >= self.wanted
        return "reached" if kept else "missed"


def reading(record: Record, model: str, peer: str, connections: int, kind: str) -> float | None:
    """The median of the rounds."""
    rounds = record.get("closed", {}).get(model, {}).get(peer, [])
    found = [row[kind] for rows in rounds for row in rows if row["connections"] == connections]
    return median(found) if found else None


def others(record: Record, model: str) -> list[str]:
    """Those that were measured beside the service with the same net."""
    peers = record.get("closed", {}).get(model, {})
    return [name for name in peers if name not in (*ALL_OURS, "raw")]


def ratio(one: float | None, other: float | None) -> float | None:
    """None where either is."""
    return None if one is None or not other else one / other


def goals(record: Record) -> Iterator[Goal]:
    """All of them."""
    for connections, wanted in ((1, 1.7), (16, 1.5), (64, 1.5), (256, 2.0)):
        yield rate_goal(record, LENET, MOSEC, connections, wanted)
    for connections in (64, 256):
        yield rate_goal(record, LENET, DECODER, connections, 1.1)
    for connections in (1, 16, 64):
        least = [reading(record, LENET, name, connections, "p99_ms") for name in others(record, LENET)]
        lowest = min((value for value in least if value), default=None)
        found = ratio(reading(record, LENET, OURS, connections, "p99_ms"), lowest)
        yield Goal(f"LeNet-5, p99 to the lowest of all peers at {connections}", 1.0, found, most=True)
    yield from open_goals(record)
    used = reading(record, LENET, OURS, 64, "processor_us")
    yield Goal("LeNet-5, µs of processor a request at 64, the whole service", MOST_US, used, most=True)
    for connections, wanted in ((16, 2.0), (64, 2.5)):
        what = f"NIN, requests/s to the best peer's at {connections}, with AMX or avx512_bf16"
        yield Goal(what, wanted, best_ratio(record, OURS, connections))
    for connections in (1, 16, 64, 256):
        what = f"NIN in float32, requests/s to the best peer's at {connections}"
        yield Goal(what, 1.2, best_ratio(record, FLOAT32, connections))
    alone = max(record.get("alone", {}).get(NIN, {}).values(), default=None)
    rates = [reading(record, NIN, OURS, connections, "requests_per_s") for connections in (16, 64, 256)]
    mine = max((value for value in rates if value), default=None)
    yield Goal("NIN, requests/s to the same net's images/s in torch alone", 0.8, ratio(mine, alone))


def best_ratio(record: Record, mine: str, connections: int) -> float | None:
    """NIN's requests per second beside those of the best peer."""
    rates = [reading(record, NIN, name, connections, "requests_per_s") for name in others(record, NIN)]
    best = max((value for value in rates if value), default=None)
    return ratio(reading(record, NIN, mine, connections, "requests_per_s"), best)


def rate_goal(record: Record, model: str, peer: str, connections: int, wanted: float) -> Goal:
    """Requests per second beside one peer."""
    mine, theirs = (reading(record, model, name, connections, "requests_per_s") for name in (OURS, peer))
    what = f"LeNet-5, requests/s to {'mosec with our decoder' if peer == DECODER else peer} at {connections}"
    return Goal(what, wanted, ratio(mine, theirs))


def open_goals(record: Record) -> Iterator[Goal]:
    """The tails at each load of the open loop: at shares of a server's own capacity, and at the same rates for all."""
    for kind, words in (
        ("open", "in the open loop at {}"),
        ("same", "at the same rate, {} of the best peer's capacity"),
    ):
        rows = record.get(kind, {}).get(LENET, {})
        for number, row in enumerate(rows.get(OURS, ())):
            theirs = [rows[name][number]["p99_ms"] for name in others(record, LENET) if name in rows]
            lowest = min((value for value in theirs if value), default=None)
            where = words.format(f"{row['share']:.0%}")
            yield Goal(f"LeNet-5, p99 to the lowest of all peers {where}", 1.0, ratio(row["p99_ms"], lowest), most=True)
