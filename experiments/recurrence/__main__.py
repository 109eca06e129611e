"""Measure chapter 6: a Clockwork RNN beside an Elman network and an LSTM, echo states beside gradients.

    python -m experiments.recurrence [--only TASK …]    # measure what is not there yet, and write docs/chapter-6.md
    python -m experiments.recurrence --render           # write the document from the measurements beside it

Everything that was measured is kept at once, so that a run that was stopped goes on. Needs MNIST (`chapterhouse data
fetch mnist`) and a quarter of an hour of one core.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.recurrence.document import render
from experiments.recurrence.echo import SIZES, echo
from experiments.recurrence.players import KINDS
from experiments.recurrence.record import Record, read_record, write_record
from experiments.recurrence.speed import sizes
from experiments.recurrence.tasks import Adding, Digits, Narma, Task, Waves
from experiments.recurrence.training import RATES, SEEDS, TUNED_ON, compete
from service.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS = DOCS / "chapter-6.md", DOCS / "chapter-6.json"


def tasks_of(settings: Settings) -> list[Task]:
    """All of them, in the order of the document."""
    return [Waves(), Digits(settings.data), Adding(), Narma()]


def page_of(tasks: Sequence[Task], record: Record) -> str:
    """The document."""
    return render(tasks, record, rates=RATES, tuned=TUNED_ON, seeds=SEEDS)


def measure(tasks: Sequence[Task], path: Path) -> None:
    """Measure what the record lacks, what takes seconds first."""
    record = read_record(path)
    if not record.sized:
        record = record.model_copy(update={"sized": sizes()})
        write_record(path, record)
    for task in tasks:
        if isinstance(task, Narma) and not record.echoed:
            record = record.model_copy(update={"echoed": tuple(echo(task, units) for units in SIZES)})
            write_record(path, record)
    for task in tasks:
        for kind in KINDS:
            before = record.of(task.key).get(kind)
            if before and (before.steps, before.updates) == (task.steps, task.updates):
                continue
            found = compete(task, kind)
            record = record.added(found)
            write_record(path, record)
            print(f"{task.key}: {kind}, rate {found.rate:g}: {found.errors}, {found.seconds:.0f} s", flush=True)


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    tasks = tasks_of(Settings())
    parser = argparse.ArgumentParser(prog="python -m experiments.recurrence")
    parser.add_argument("--only", nargs="+", choices=[task.key for task in tasks], metavar="TASK")
    parser.add_argument("--record", type=Path, default=MEASUREMENTS, help="where measurements are kept")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    given = parser.parse_args()
    if not given.render:
        torch.set_num_threads(1)
        measure([task for task in tasks if not given.only or task.key in given.only], given.record)
    DOCUMENT.write_text(page_of(tasks, read_record(given.record)), "utf-8")


if __name__ == "__main__":
    main()
