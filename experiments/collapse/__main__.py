"""Measure every GAN of chapter 7 for mode collapse, and write docs/mode-collapse.md.

    python -m experiments.collapse [--state DIR]     # measure what has weights, draw the sheets, write the document
    python -m experiments.collapse --sheets          # draw the sheets: samples of every generator beside real ones
    python -m experiments.collapse --render          # write the document from the measurements beside it

Trains nothing: `chapterhouse train` does. The spread over the seeds of points and the rank correlations come from the
histories under `training/` of the state directory, where cards do not hold them; images that were measured on the same
weights are not measured again. What has no weights stands there as not trained yet.
"""

import argparse
import asyncio
from pathlib import Path

from experiments.collapse.digits import EXTRACTOR, NAMERS, Judge
from experiments.collapse.document import render
from experiments.collapse.gathering import gather
from experiments.collapse.record import read_record, write_record
from experiments.collapse.sheets import draw_sheet
from experiments.collapse.tables import MNIST, TABLES
from service.datasets.registry import find_dataset
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS, SHEETS = DOCS / "mode-collapse.md", DOCS / "mode-collapse.jsonl", DOCS / "mode-collapse"


async def measure(settings: Settings, state: Path) -> None:
    """Write the measurements."""
    folder = settings.shipped_models_dir
    known = read_record(MEASUREMENTS)
    test = find_dataset(MNIST.dataset).load(settings.data, "test").images
    found = []
    store = ModelStore(folder)
    async with LocalEngine(store) as engine:
        extractor, *namers = (store.get(name, task="classify") for name in (EXTRACTOR, *NAMERS))
        judge = await Judge.beside(test, extractor, namers, engine)
        async for model, measurement in gather(folder, state, known, judge):
            found.append(measurement)
            print(
                f"{model.id}: {measurement.model_dump_json(exclude_none=True, exclude={'model', 'noticed'})}",
                flush=True,
            )
        write_record(MEASUREMENTS, found)


async def draw(settings: Settings) -> None:
    """Write the sheets."""
    folder, record = settings.shipped_models_dir, read_record(MEASUREMENTS)
    SHEETS.mkdir(exist_ok=True)
    async with LocalEngine(ModelStore(folder)) as engine:
        for table in TABLES:
            sheet = await draw_sheet(table, folder, engine, settings.data, record)
            (SHEETS / f"{table.key}.png").write_bytes(sheet)


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.collapse")
    parser.add_argument("--state", type=Path, help="where trainings left their histories; the state directory's own")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--sheets", action="store_true", help="draw the samples of every generator beside real ones")
    only.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    given = parser.parse_args()
    settings = Settings()
    if not (given.render or given.sheets):
        asyncio.run(measure(settings, given.state or settings.state))
    if not given.render:
        asyncio.run(draw(settings))
    DOCUMENT.write_text(render(settings.shipped_models_dir, read_record(MEASUREMENTS)), "utf-8")


if __name__ == "__main__":
    main()
