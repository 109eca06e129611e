"""Floors of the stored references beside direct measurements: real images posted as if a generator had drawn them."""

from collections.abc import Iterator

import numpy as np

from experiments.thresholds.record import DirectFloor, ReferenceFloors
from service.datasets.registry import find_dataset
from service.evaluation.extraction import extract_features
from service.evaluation.measure import choose_metrics, measure
from service.evaluation.references import Reference
from service.metrics.fid import FID
from service.metrics.metric import Side
from service.metrics.samples import Rows
from service.runtime.calls import EngineClient
from service.settings import Settings
from service.store import Model

SIZES = (1000, 2000, 5000, 10_000)
IMAGES = 40_000
"""Training images that are shown, by another permutation than that behind the law."""
SETS = 10
"""Disjoint sets of each size, at most."""
SEED = 1
SPLITS = 8
"""Pairs of parts of the reference's own images."""


async def measure_floors(
    reference: Reference, extractor: Model, engine: EngineClient, settings: Settings
) -> ReferenceFloors:
    """FID of sets of training images against a reference of test images, and of parts of the test images."""
    said = reference.description
    name = said.dataset.removesuffix(" test")
    train, test = (find_dataset(name).load(settings.data, part).images for part in ("train", "test"))
    shown = np.random.default_rng(SEED).permutation(len(train))[:IMAGES]
    features, _ = await extract_features(engine, extractor, train[shown])
    unseen, _ = await extract_features(engine, extractor, test)
    whole = Side(unseen)
    part = len(whole.rows_of_halves(0)[0])
    worth = round(1 / (2 / part - 1 / len(unseen)))  # two parts have 2 / part, such a set and the whole 1 / n + 1 / N
    floor = said.floors["fid"].at(worth).value
    assert floor is not None, "a law says a floor for every size"
    between = [FID().between_halves(whole, whole, seed) for seed in range(SPLITS)]
    return ReferenceFloors(
        reference=said.name,
        sha256=said.sha256,
        extractor=extractor.id,
        weights_sha256=said.weights_sha256,
        images=f"{name} train",
        fid=tuple(direct_floors(features, reference.side)),
        part=part,
        between_parts=_rounded(np.mean(between)),
        worth=worth,
        floor_of_worth=_rounded(floor),
    )


def direct_floors(features: Rows, reference: Side) -> Iterator[DirectFloor]:
    """What disjoint sets of features (n, d) score, as an evaluation measures them and says their floor."""
    for size in (size for size in SIZES if 2 * size <= len(features)):
        starts = range(0, min(len(features) - size + 1, SETS * size), size)
        entries = [
            measure(Side(features[start : start + size]), reference, choose_metrics(("fid",)), intervals=False).metrics
            for start in starts
        ]
        scores, floor = [entry["fid"].value for entry in entries], entries[0]["fid"].noise_floor
        assert floor is not None, "a stored reference knows its floor"
        assert floor.spread is not None
        yield DirectFloor(
            count=size,
            sets=len(scores),
            mean=_rounded(np.mean(scores)),
            deviation=_rounded(np.std(scores, ddof=1)),
            by_law=_rounded(floor.value),
            spread_by_law=_rounded(floor.spread),
        )


def _rounded(value: float | np.floating) -> float:
    return float(f"{value:.5g}")
