"""Measure how fast the forms of the classifiers are, and write docs/forms.md.

python -m experiments.forms [ID]...   # measure these, all of the shipped ones unless given
python -m experiments.forms --render  # write the document from the cards and the measurements beside it
"""

import argparse
import time
from pathlib import Path

import torch

from experiments.forms.document import SIZES, classifiers, render
from experiments.forms.record import Timings, read_record, write_record
from service.datasets.registry import find_dataset
from service.exactness import PLAIN, FormName
from service.forms.form import Place
from service.forms.memory import Memory
from service.forms.registry import make_form
from service.forms.timing import Compute, answer, plainly
from service.imaging import Pixels
from service.nets.arithmetic import compute_exactly
from service.nets.registry import open_net
from service.settings import Settings, read_settings
from service.store import Model, ModelStore

DOCS = Path(__file__).parent.parent.parent / "docs"
DOCUMENT, MEASUREMENTS = DOCS / "forms.md", DOCS / "forms.json"
WARM, ROUNDS, ROUND_S = 2, 3, 0.1
HERE = Place("cpu", 1)


def time_alone(compute: Compute, images: Pixels) -> float:
    """The processor's seconds for a forward pass on one thread: what else the machine does counts for little."""
    for _ in range(WARM):
        answer(compute, images, HERE)
    found = []
    for _ in range(ROUNDS):
        passes, began = 0, time.process_time()
        while passes == 0 or time.process_time() - began < ROUND_S:
            answer(compute, images, HERE)
            passes += 1
        found.append((time.process_time() - began) / passes)
    return min(found)


def measure(model: Model, settings: Settings) -> Timings:
    """How fast each form on the model's card is here."""
    assert model.card is not None, "a trained classifier has a card"
    images = find_dataset(model.manifest.dataset).load(settings.data, "test").first(max(SIZES)).images.copy()
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    seconds: dict[FormName, dict[int, float]] = {}
    for name in model.card.forms:
        compute = plainly(net, model) if name == PLAIN else make_form(name, model, HERE).logits
        seconds[name] = {rows: float(f"{time_alone(compute, images[:rows]):.4g}") for rows in SIZES}
    known = Memory.of(model, HERE)
    return Timings(
        model=model.id,
        version=model.version,
        machine=known.machine,
        threads=HERE.threads,
        packages=known.packages,
        seconds=seconds,
    )


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.forms")
    parser.add_argument("models", nargs="*", metavar="ID")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    asked = parser.parse_args()
    settings = read_settings()
    models = classifiers(ModelStore(settings.shipped_models_dir))
    if not asked.render:
        compute_exactly()
        torch.set_num_threads(HERE.threads)
        for model in models:
            if not asked.models or model.id in asked.models:
                write_record(MEASUREMENTS, read_record(MEASUREMENTS).with_timings(measure(model, settings)))
                print(f"{model.id}: measured", flush=True)
    DOCUMENT.write_text(render(models, read_record(MEASUREMENTS)), "utf-8")


if __name__ == "__main__":
    main()
