"""Measure classifiers on digits as people send them, and write docs/ink.md.

    python -m experiments.ink             # measure and write
    python -m experiments.ink --render    # write the document from the measurements beside it

Needs MNIST (`chapterhouse data fetch mnist`).
"""

import argparse
import asyncio
from pathlib import Path

from experiments.ink.document import render
from experiments.ink.measuring import COUNT, DATASET, classifiers, measure, unchanged
from experiments.ink.record import Record, read_record
from service.datasets.registry import find_dataset
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS = DOCS / "ink.md", DOCS / "ink.json"


async def measure_all(settings: Settings) -> Record:
    """Every classifier of digits that the store has weights of."""
    store = ModelStore(settings.shipped_models_dir)
    source, found = find_dataset(DATASET), []
    test = source.load(settings.data, "test")
    async with LocalEngine(store, threads=1) as engine:
        for model in classifiers(map(store.get, store.ids())):
            found.append(await measure(model, engine, test))
            print(f"{model.id}: measured", flush=True)
    parts = {"test images": test.images, "training images": source.load(settings.data, "train").images}
    kept = {part: (unchanged(images), len(images)) for part, images in parts.items()}
    return Record(count=COUNT, unchanged=kept, measurements=tuple(found))


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.ink")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    if not parser.parse_args().render:
        MEASUREMENTS.write_text(asyncio.run(measure_all(Settings())).model_dump_json() + "\n", "utf-8")
    DOCUMENT.write_text(render(read_record(MEASUREMENTS)), "utf-8")


if __name__ == "__main__":
    main()
