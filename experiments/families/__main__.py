"""Write the tables of docs/nets/, the pages of the families of nets, in both languages, and draw their pictures.

    python -m experiments.families              # write the tables where the pages have places for them
    python -m experiments.families --pictures   # draw how the trained nets see an image, too

A place is a line such as `<!-- trained: lenet5-mnist -->`; the words around it are written by people.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from chapterhouse import Local
from experiments.families.tables import written
from experiments.families.words import CHINESE, ENGLISH, Language
from experiments.pictures import Subject, page_of
from service.drawing.forecast import draw_forecast
from service.settings import Settings
from service.store import ModelStore

COMMAND = "python -m experiments.families"
FOLDER = Path(__file__).parents[2] / "docs" / "nets"
DRAWN = (
    "lenet5-mnist",
    "alexnet-cifar10",
    "nin-cifar10",
    "vgg16-bn-cifar10",
    "googlenet-cifar10",
    "mobilenet-cifar10",
)
"""The nets whose pictures a page shows."""
SERIES = Path(__file__).parents[2] / "tests" / "data" / "load.json"
"""The request for a forecast that the examples of docs/ send."""
LAYERS = 3
SIDE = 1000
COLOURS = 160


def pages() -> list[Path]:
    """The pages of the families, in every language."""
    return sorted(FOLDER.glob("*.md"))


def language_of(page: Path) -> Language:
    """The language in which a page is written."""
    return CHINESE if page.stem.endswith(CHINESE.suffix) else ENGLISH


def draw() -> None:
    """Draw how each net sees an image, in few colours, and a forecast."""
    settings = Settings()
    store = ModelStore(settings.shipped_models_dir)
    for model_id in DRAWN:
        picture = page_of(Subject(store.get(model_id), None, settings.data_dir), LAYERS)
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(FOLDER / f"{model_id}.png", optimize=True)
    (FOLDER / "forecast.svg").write_text(forecast_drawn(), "utf-8")


def forecast_drawn() -> str:
    """The forecast of the examples, as `/forecast` draws it."""
    asked = json.loads(SERIES.read_text("utf-8"))
    with Local() as local:
        found = local.forecast(asked["history"], asked["horizon"], fit=True)
    assert found.interval is not None, "the series is long enough to measure it"
    history, forecast, low, high = (
        np.asarray(values, np.float64)[:, None]
        for values in (asked["history"], found.forecast, found.interval.low, found.interval.high)
    )
    return draw_forecast(found.model, history, forecast, (low, high))


def main() -> None:
    """Write the tables, and draw where that is asked."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--pictures", action="store_true", help="draw the pictures, too")
    if parser.parse_args().pictures:
        draw()
    for page in pages():
        page.write_text(written(page.read_text("utf-8"), language_of(page)), "utf-8")


if __name__ == "__main__":
    main()
