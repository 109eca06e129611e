"""Put the sentences of chapters 4 and 5 to the test, and write docs/claims.md.

    python -m experiments.claims --record FILE [--only CLAIM …] [--seeds N]     # train what FILE lacks
    python -m experiments.claims --record FILE --render                         # write the document from FILE
    python -m experiments.claims --render                                       # … from the measurements beside it
    python -m experiments.claims --devices                                      # one device against two, on free cores

Every training is a line of the record, so that a run that was stopped goes on: half a minute each on one core, an hour
in all. Rendering trains nothing, and keeps the measurements that it used beside the document.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from experiments.claims import chapter4, chapter5
from experiments.claims.claim import Claim
from experiments.claims.counting import counts
from experiments.claims.devices import measure as measure_devices
from experiments.claims.devices import read_devices
from experiments.claims.document import render
from experiments.claims.record import TUNED_ON, Record
from experiments.claims.trial import Trial, load_sets, measure
from service.settings import Settings

CLAIMS: dict[str, Claim] = {claim.key: claim for claim in (*chapter4.CLAIMS, *chapter5.CLAIMS)}
DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS, OF_DEVICES = DOCS / "claims.md", DOCS / "claims.jsonl", DOCS / "claims-devices.json"


def missing(claims: Sequence[Claim], record: Record, most: int | None) -> Iterator[tuple[Claim, str, Trial, int]]:
    """What is to be trained: rates that are tried, then all claims with one seed, then with the next."""
    for claim in claims:
        for name, trial in claim.tuning.items():
            if record.tried(trial) is None:
                yield claim, name, trial, TUNED_ON
    for seed in range(max(claim.seeds for claim in claims) if most is None else most):
        for claim in claims:
            for name, trial in claim.rows(seed).items():
                if not record.has(trial, seed):
                    yield claim, name, trial, seed


def work(claims: Sequence[Claim], record: Record, data_dir: Path, most: int | None) -> None:
    """Train and measure whatever the record lacks."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="claims-") as scratch:
        for claim, name, trial, seed in missing(claims, record, most):
            found = measure(trial, seed, load_sets(trial.data, data_dir), Path(scratch))
            record.add(found)
            print(
                f"{claim.key}: {name}, seed {seed}: test {found.test_error:.2%}, training {found.training_error:.2%},"
                f" {found.seconds:.0f} s",
                flush=True,
            )


def publish(record: Record) -> None:
    """Write the document, and beside it the measurements in it."""
    DOCS.mkdir(exist_ok=True)
    record.write(MEASUREMENTS, (trial for claim in CLAIMS.values() for trial in claim.all_trials))
    DOCUMENT.write_text(render(list(CLAIMS.values()), counts(), record, read_devices(OF_DEVICES)), "utf-8")


def main() -> None:
    """Train, or write the document."""
    parser = argparse.ArgumentParser(prog="python -m experiments.claims")
    parser.add_argument("--record", type=Path, default=MEASUREMENTS, help="where measurements are kept")
    parser.add_argument("--only", nargs="+", choices=CLAIMS, default=list(CLAIMS), metavar="CLAIM")
    parser.add_argument("--seeds", type=int, metavar="N", help="so many at most of those that each claim has")
    parser.add_argument("--render", action="store_true", help="write the document instead of training")
    parser.add_argument("--devices", action="store_true", help="train on one device and on two, and write the document")
    given = parser.parse_args()
    record = Record(given.record)
    if given.devices:
        measure_devices(Settings().data_dir, OF_DEVICES)
    if given.render or given.devices:
        publish(record)
        return
    work([CLAIMS[key] for key in given.only], record, Settings().data_dir, given.seeds)


if __name__ == "__main__":
    main()
