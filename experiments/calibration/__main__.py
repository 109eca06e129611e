"""Measure how sure the classifiers are, and write docs/calibration.md with its diagrams.

    python -m experiments.calibration             # measure what is calibrated, draw the diagrams, write the document
    python -m experiments.calibration --render    # write the document from the cards and the measurements beside it

Trains nothing: `chapterhouse calibrate` does. What was measured of the same weights at the same temperature is not
measured again; what nobody has calibrated stands there as not measured.
"""

import argparse
import asyncio
from pathlib import Path

from experiments.calibration.diagrams import draw
from experiments.calibration.document import render
from experiments.calibration.measuring import NAMERS, classifiers, measure, measure_teams
from experiments.calibration.record import Record, read_record, write_record
from experiments.collapse.digits import NAMERS as CHOSEN
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS, DIAGRAMS = DOCS / "calibration.md", DOCS / "calibration.json", DOCS / "calibration"


async def measure_all(models: list[Model], settings: Settings, known: Record) -> None:
    """Write the measurements and the diagrams."""
    found = []
    teams = {model.id: model.calibration.temperature for model in models if model.id in NAMERS and model.calibration}
    async with LocalEngine(ModelStore(settings.shipped_models_dir), threads=1) as engine:
        for model in models:
            if model.calibration is not None:
                before = known.find(model.id)
                fresh = before is None or not before.is_of(model, model.calibration)
                found.append(await measure(model, engine, settings) if fresh or before is None else before)
                print(f"{model.id}: {'measured' if fresh else 'known'}", flush=True)
        named = known.teams
        if len(teams) == len(NAMERS) and (teams != known.namers or not named):
            named = tuple(await measure_teams([model for model in models if model.id in teams], engine, settings))
    write_record(MEASUREMENTS, found, teams, named)
    DIAGRAMS.mkdir(exist_ok=True)
    for measurement in found:
        (DIAGRAMS / f"{measurement.model}.svg").write_text(draw(measurement), "utf-8")


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.calibration")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    settings = Settings()
    store = ModelStore(settings.shipped_models_dir)
    models = classifiers([store.get(model_id) for model_id in store.ids()])
    if not parser.parse_args().render:
        asyncio.run(measure_all(models, settings, read_record(MEASUREMENTS)))
    DOCUMENT.write_text(render(models, read_record(MEASUREMENTS), CHOSEN), "utf-8")


if __name__ == "__main__":
    main()
