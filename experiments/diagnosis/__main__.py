"""Look into a ZFNet as its authors did, and write docs/zfnet.md with its pictures.

    python -m experiments.diagnosis             # train a narrow net, measure, draw, and write the document
    python -m experiments.diagnosis --render    # write the document from the measurements beside it

Needs CIFAR-10 (`chapterhouse data fetch cifar-10`) and a few minutes of one core.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.claims.trial import load_sets
from experiments.diagnosis.changing import CHANGES, respond
from experiments.diagnosis.document import render
from experiments.diagnosis.drawing import draw_growth, draw_hiding, draw_responses
from experiments.diagnosis.growing import SEARCHED, TRIAL, grow, look
from experiments.diagnosis.hiding import EACH, correspond
from experiments.diagnosis.record import Record, read_record
from experiments.diagnosis.subject import Subject
from service.datasets.registry import find_dataset
from service.settings import Settings
from service.store import ModelStore

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT, MEASUREMENTS, PICTURES = DOCS / "zfnet.md", DOCS / "zfnet.json", DOCS / "zfnet"
MODEL = "zfnet-cifar10"
CHANGED = 5
"""Images that are shifted, scaled and turned, each of another class."""
LOOKED_AT = 300
"""Test images among which known ones are sought."""


def measure(settings: Settings) -> Record:
    """Measure everything, and draw what features become over the training."""
    torch.set_num_threads(1)
    PICTURES.mkdir(exist_ok=True)
    model = ModelStore(settings.shipped_models_dir).get(MODEL, task="classify")
    subject = Subject(model)
    known = subject.known(find_dataset(model.manifest.dataset).load(settings.data, "test").first(LOOKED_AT), EACH)
    labels = list(known)[:CHANGED]
    images = np.stack([known[label][0] for label in labels])
    responses = tuple(respond(subject, images, labels, name) for name in CHANGES)
    names = tuple(model.manifest.labels[label] for label in labels)
    correspondences = correspond(subject, known)
    print("the served net is measured", flush=True)
    nets, accuracy = grow(settings.data)
    print(f"the narrow net is trained: {accuracy:.4f}", flush=True)
    looks, snapshots = look(nets, settings.data)
    shown = load_sets(TRIAL.data, settings.data).training.first(SEARCHED).images
    (PICTURES / "training.png").write_bytes(draw_growth(looks, shown))
    return Record(
        weights=model.version,
        labels=names,
        snapshots=tuple(snapshots),
        responses=responses,
        correspondences=correspondences,
        classes=tuple(model.manifest.labels[label] for label in known),
    )


def main() -> None:
    """Measure, unless the document is only to be rendered, and write it."""
    parser = argparse.ArgumentParser(prog="python -m experiments.diagnosis")
    parser.add_argument("--render", action="store_true", help="write the document from the measurements beside it")
    if not parser.parse_args().render:
        MEASUREMENTS.write_text(measure(Settings()).model_dump_json() + "\n", "utf-8")
    record = read_record(MEASUREMENTS)
    (PICTURES / "changes.png").write_bytes(draw_responses(record.responses, record.labels))
    (PICTURES / "hiding.png").write_bytes(draw_hiding(record.correspondences, record.classes))
    DOCUMENT.write_text(render(record), "utf-8")


if __name__ == "__main__":
    main()
