"""What a card says a classifier is worth on images that it never saw, and a generator by the samples that it draws."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.datasets.split import Split
from service.evaluation.extraction import extract_features
from service.evaluation.pipeline import Bench, evaluate
from service.metrics.mode_coverage import mode_coverage, reverse_kl
from service.operations.generate import gather_samples
from service.runtime.calls import EngineClient
from service.schemas import EvaluationRequest
from service.scoring.classes import name_classes, told
from service.store import Model, Score

SAMPLES = 5000
"""Images of a generator behind the scores of its card."""
POINTS = 2500
"""Points behind the scores of a generator of points, as the literature takes."""
STACKED = 26_000
"""Images of a generator whose channels are digits behind the modes that they cover."""
GENERATOR_METRICS = ("fid", "inception_score", "mmd")


async def classifier_scores(model: Model, engine: EngineClient, test: Split) -> dict[str, Score]:
    """The accuracy on test images of the model's own size."""
    _, probabilities = await extract_features(engine, model, test.images)
    assert probabilities is not None, "a classifier knows classes"
    right = int((probabilities.argmax(axis=1) == test.labels).sum())
    on = f"{model.manifest.dataset} test"
    return {"accuracy": Score(value=right / len(test), on=on, how=f"{right:,} of {len(test):,} images")}


async def generator_scores(model: Model, bench: Bench, *, seed: int) -> dict[str, Score]:
    """The metrics of 5,000 images of a seed against the stored test set of the model's dataset.

    Raises ReferenceNotFound where there is none.
    """
    reference = bench.references.test_set_of(model.manifest.dataset)
    images = await gather_samples(bench.engine, model, seed=seed, count=SAMPLES)
    with tempfile.TemporaryDirectory() as directory:
        generated = Path(directory) / "generated"
        with generated.open("wb") as file:
            np.savez(file, images=images)
        report = await evaluate(
            EvaluationRequest(reference_name=reference, metrics=GENERATOR_METRICS),
            bench,
            report_id="card",
            generated=generated,
            reference=None,
            working_dir=Path(directory),
        )
    weights = (report.features.weights_sha256 or "")[:12]
    how = (
        f"{SAMPLES:,} images of seed {seed}, {report.features.dim}-d features of {report.features.extractor} {weights}"
    )
    return {name: Score(value=entry.value, on=reference, how=how) for name, entry in report.metrics.items()}


async def point_scores(model: Model, engine: EngineClient, *, seed: int) -> dict[str, Score]:
    """How much of its mixture a generator of points covers, by the protocol of `metrics.mode_coverage`."""
    spec = model.manifest.points
    assert spec is not None
    assert spec.deviation is not None
    points = await gather_samples(engine, model, seed=seed, count=POINTS)
    found = mode_coverage(points, spec.modes, spec.deviation)
    how = f"{POINTS:,} points of seed {seed}, good within three deviations of one of {len(spec.modes)} modes"
    return {name: Score(value=value, on=model.manifest.dataset, how=how) for name, value in found._asdict().items()}


async def stacked_scores(
    model: Model, namers: Sequence[Model], engine: EngineClient, modes: int, *, seed: int
) -> dict[str, Score]:
    """How many modes a generator covers whose images hold a digit in each channel: three digits are one mode."""
    images = await gather_samples(engine, model, seed=seed, count=STACKED)
    found = np.zeros(len(images), np.int64)
    for channel in range(images.shape[3]):
        digits = np.ascontiguousarray(images[..., channel : channel + 1])
        probabilities = await name_classes(engine, namers, digits)
        found = probabilities.shape[1] * found + probabilities.argmax(axis=1)
    how = f"{STACKED:,} images of seed {seed}, digits by {told(namers)}, of {modes:,} modes"
    values = {"modes": float(len(np.unique(found))), "reverse_kl": reverse_kl(found, modes)}
    return {name: Score(value=value, on=model.manifest.dataset, how=how) for name, value in values.items()}
