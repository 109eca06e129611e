"""Trainings by their full recipes, each as long as there is time: how far they come, and how good they are by then."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.card.place import Place
from service.settings import Settings

MODELS = ("lenet5-mnist", "nin-cifar10", "wgan-gp-mnist")
SHORT = ("gan-ring",)
"""Needs no files of images."""
ROOT = Path(__file__).parents[2]


def run(place: Place) -> None:
    """Train one after the other, into a store of their own."""
    models = SHORT if place.rehearsal else MODELS
    layer, shipped = place.out / "trained", Settings().shipped_models_dir
    for name in models:
        (layer / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(shipped / name / "model.toml", layer / name)
    for extractor in shipped.iterdir():  # those by which generators are appraised
        if extractor.is_dir() and not (layer / extractor.name).exists():
            (layer / extractor.name).symlink_to(extractor)
    for number, name in enumerate(models):
        budget_s = 1.0 if place.rehearsal else max(5.0, 0.8 * place.left_s / (len(models) - number))
        command = [sys.executable, "-m", "service", "train", name, "--device", str(place.at)]
        command += ["--recipe", "full", "--time-budget", f"{budget_s:.0f}"]
        environment = {
            **os.environ,
            "CHAPTERHOUSE_MODELS_DIR": str(layer),
            "CHAPTERHOUSE_STATE_DIR": str(place.out / "training-state"),
            "PYTHONPATH": str(ROOT),
        }
        told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        card = layer / name / "card.json"
        if told.returncode or not card.is_file():
            place.write(model=name, budget_s=round(budget_s), failed=told.stderr.strip()[-300:])
            continue
        found = json.loads(card.read_text("utf-8"))
        scores = {metric: score["value"] for metric, score in found["scores"].items()}
        place.write(model=name, budget_s=round(budget_s), seconds=found["seconds"], noticed=found.get("noticed", []),
                    scores=scores)  # fmt: skip
