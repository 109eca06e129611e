"""Measure floors and how often a generator is called worse than itself, and write docs/thresholds.md.

    python -m experiments.thresholds --floors        # the floors of the stored references
    python -m experiments.thresholds --sets 200      # so many sets of one generator's samples against each other
    python -m experiments.thresholds --render        # write the document from the measurements beside it

What is not asked for is taken from the measurements beside the document.
"""

import argparse
import asyncio
from pathlib import Path

from experiments.thresholds.document import render
from experiments.thresholds.floors import measure_floors
from experiments.thresholds.fresh import compare_sets, draw_sets
from experiments.thresholds.record import ReferenceFloors, read_record, write_record
from service.evaluation.references import References
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS = DOCS / "thresholds.md", DOCS / "thresholds.json"


async def measure_all_floors(settings: Settings) -> tuple[ReferenceFloors, ...]:
    """Those of every shipped reference that keeps a law."""
    store = ModelStore(settings.shipped_models_dir)
    references = References(settings.shipped_models_dir / "references")
    found = []
    async with LocalEngine(store, threads=1) as engine:
        for name in references.names():
            reference = references.get(name)
            if "fid" in reference.description.floors:
                extractor = store.extractor(reference.description.extractor)
                found.append(await measure_floors(reference, extractor, engine, settings))
                print(found[-1].model_dump_json(), flush=True)
    return tuple(found)


def main() -> None:
    """Measure what is asked for, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m experiments.thresholds")
    parser.add_argument("--floors", action="store_true", help="measure the floors of the stored references")
    parser.add_argument("--sets", type=int, help="draw so many sets of samples of one generator, and compare them")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    asked, record, settings = parser.parse_args(), read_record(MEASUREMENTS), Settings()
    if asked.floors:
        record = record.model_copy(update={"floors": asyncio.run(measure_all_floors(settings))})
    if asked.sets:
        record = record.model_copy(update={"fresh": compare_sets(asyncio.run(draw_sets(settings, asked.sets)))})
    write_record(MEASUREMENTS, record)
    DOCUMENT.write_text(render(record), "utf-8")


if __name__ == "__main__":
    main()
