"""The generators of digits by an independent classifier, and whether a loss tells how good the samples are.

    python benchmarks/chapter7.py [MODEL …] [--histories FILE …]

Without models, every generator of MNIST in the store that has weights. A history is the `history.jsonl` of a training,
in the state directory under `training/`; of it comes the rank correlation of each loss with FID.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from service.datasets.registry import find_dataset
from service.evaluation.extraction import extract_features
from service.evaluation.scores import draw
from service.metrics.fid import FID, fid
from service.metrics.metric import Side
from service.metrics.one_nn import OneNN
from service.runtime.local import LocalEngine
from service.settings import Settings
from service.store import ModelStore
from service.training.history import read_history

SAMPLES = 10_000
CLASSIFIER = "lenet5-mnist"
CONFIDENT = 0.9
TOLD = ("discriminator_loss", "generator_loss", "distance", "penalty", "real_energy", "fake_energy")
SMOOTHED = 10
"""Rows whose mean loss is set beside the FID at their end."""


async def measure(ids: Sequence[str]) -> None:
    """Print a row for each generator: digits, confidence, 1-NN on both halves, FID beside its floor."""
    settings = Settings()
    store = ModelStore.of(settings)
    wanted = ids or [model_id for model_id in store.ids() if _draws_digits(store, model_id)]
    test = find_dataset("mnist").load(settings.data, "test")
    async with LocalEngine(store) as engine:
        classifier = store.get(CLASSIFIER, task="classify")
        real, _ = await extract_features(engine, classifier, test.images)
        floor = FID().noise_floor(Side(features=real), Side(features=real), seed=0)
        print(f"{SAMPLES:,} samples; FID on {CLASSIFIER}'s features, {floor.value:.3f} {floor.how} {floor.sizes}")
        print("| model | rarest digit | commonest | confident | 1-NN real | 1-NN generated | FID |")
        print("|---|---|---|---|---|---|---|")
        for model_id in wanted:
            images = await draw(engine, store.get(model_id, task="generate"), seed=0, count=SAMPLES)
            features, probabilities = await extract_features(engine, classifier, images)
            assert probabilities is not None
            shares = np.bincount(probabilities.argmax(axis=1), minlength=10) / SAMPLES
            confident = (probabilities.max(axis=1) >= CONFIDENT).mean()
            nearest = OneNN().measure(Side(features=real), Side(features=features)).details
            print(
                f"| {model_id} | {shares.min():.1%} | {shares.max():.1%} | {confident:.1%} "
                f"| {nearest['real']:.3f} | {nearest['generated']:.3f} | {fid(real, features).value:.3f} |",
                flush=True,
            )


def _draws_digits(store: ModelStore, model_id: str) -> bool:
    manifest = store.get(model_id).manifest
    return manifest.task == "generate" and manifest.dataset == "mnist"


def correlate(path: Path) -> None:
    """Print the rank correlation of each mean loss with the FID of the same moment."""
    rows = read_history(path)
    places = [place for place, row in enumerate(rows) if "fid" in row]
    print(f"{path.parent.name}: {len(places)} measurements of FID")
    for name in TOLD:
        if name in rows[-1]:
            before = [rows[max(0, place + 1 - SMOOTHED) : place + 1] for place in places]
            means = [np.mean([row[name] for row in part if name in row]) for part in before]
            found = spearmanr(means, [rows[place]["fid"] for place in places])
            print(f"  {name.replace('_', ' ')}: {found.statistic:+.3f} (p = {found.pvalue:.2g})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--histories", type=Path, nargs="*", default=())
    given = parser.parse_args()
    if given.models or not given.histories:
        asyncio.run(measure(given.models))
    for history in given.histories:
        correlate(history)
