"""Measure the chapter's advice against collapse, and write docs/collapse-advice.md.

    python -m experiments.advice [--only SWITCH …]    # train what is not measured yet, and write the document
    python -m experiments.advice --render             # write the document from the measurements beside it

Every switch is a line of the record, so that a run that was stopped goes on: up to a minute each of one core.
"""

import argparse
from pathlib import Path

import torch

from experiments.advice.document import render
from experiments.advice.measuring import digest_of, measure
from experiments.advice.record import read_record, write_record
from experiments.advice.switches import MODEL, SWITCHES
from service.settings import Settings
from service.store import Model

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS = DOCS / "collapse-advice.md", DOCS / "collapse-advice.jsonl"


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.advice")
    keys = [switch.key for switch in SWITCHES]
    parser.add_argument("--only", nargs="+", choices=keys, default=keys, metavar="SWITCH")
    parser.add_argument("--record", type=Path, default=MEASUREMENTS, help="where measurements are kept")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    given = parser.parse_args()
    record = read_record(given.record)
    if not given.render:
        torch.set_num_threads(1)
        settings = Settings()
        manifest = Model(settings.shipped_models_dir / MODEL).manifest
        for switch in SWITCHES:
            before = record.get(switch.key)
            if switch.key in given.only and (before is None or before.recipe != digest_of(switch)):
                found = record[switch.key] = measure(switch, manifest, settings.data)
                write_record(given.record, (record[key] for key in keys if key in record))
                print(f"{switch.key}: modes {found.modes}, good {found.good}, {found.seconds:.0f} s", flush=True)
    DOCUMENT.write_text(render(record), "utf-8")


if __name__ == "__main__":
    main()
