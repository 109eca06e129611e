"""What a card says a model is worth: measured on data that training never saw, on the path that serves it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.datasets.split import Split
from service.evaluation.extraction import extract_features
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import Reference, make_reference
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.spool import ImageShape
from service.imaging import Pixels
from service.metrics.mode_coverage import mode_coverage, reverse_kl
from service.operations.generate import sample_images
from service.runtime.calls import EngineClient
from service.schemas import EvaluationRequest
from service.scoring.classes import name_classes, told
from service.store import Model, Score

SAMPLES = 5000
"""Images of a generator behind the scores of its card."""
POINTS = 2500
"""Points behind the scores of a card, as the literature takes."""
STACKED = 26_000
"""Images of three digits behind those scores."""
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
    images = await sample(bench.engine, model, seed=seed, count=SAMPLES)
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
    """What of the mixture that it learnt a generator of points covers, by the protocol of `metrics.mode_coverage`."""
    spec = model.manifest.points
    assert spec is not None
    assert spec.deviation is not None
    points = await sample(engine, model, seed=seed, count=POINTS)
    found = mode_coverage(points, spec.modes, spec.deviation)
    how = f"{POINTS:,} points of seed {seed}, good within three deviations of one of {len(spec.modes)} modes"
    return {name: Score(value=value, on=model.manifest.dataset, how=how) for name, value in found._asdict().items()}


async def stacked_scores(
    model: Model, namers: Sequence[Model], engine: EngineClient, modes: int, *, seed: int
) -> dict[str, Score]:
    """How many modes images cover whose channels are digits: three, as the classifiers read them, are one mode."""
    images = await sample(engine, model, seed=seed, count=STACKED)
    found = np.zeros(len(images), np.int64)
    for channel in range(images.shape[3]):
        digits = np.ascontiguousarray(images[..., channel : channel + 1])
        probabilities = await name_classes(engine, namers, digits)
        found = probabilities.shape[1] * found + probabilities.argmax(axis=1)
    how = f"{STACKED:,} images of seed {seed}, digits by {told(namers)}, of {modes:,} modes"
    values = {"modes": float(len(np.unique(found))), "reverse_kl": reverse_kl(found, modes)}
    return {name: Score(value=value, on=model.manifest.dataset, how=how) for name, value in values.items()}


async def sample(engine: EngineClient, model: Model, *, seed: int, count: int) -> NDArray[Any]:
    """The first samples of a seed: images uint8 (count, H, W, C), or points float32 (count, 2)."""
    blocks = [block async for block in sample_images(engine, model, seed=seed, count=count)]
    return np.concatenate(blocks)


async def dataset_reference(
    name: str, images: Pixels, extractor: Model, engine: EngineClient, *, dataset: str
) -> Reference:
    """A stored reference of a dataset's images uint8 (n, H, W, C), read and ordered as an upload would be."""
    spec = extractor.input
    with tempfile.TemporaryDirectory() as directory:
        upload, working_dir = Path(directory) / "images.npy", Path(directory) / "samples"
        working_dir.mkdir()
        np.save(upload, images)
        limits = Limits(images.nbytes + 4096, images.shape[1] * images.shape[2])
        shape = ImageShape.of(spec)
        samples = open_samples(upload, working_dir=working_dir, shape=shape, limits=limits)
        assert samples.images is not None
        features, probabilities = await extract_features(engine, extractor, samples.images)
    return make_reference(
        name,
        features,
        probabilities,
        extractor=extractor.id,
        weights_sha256=extractor.weights_sha256 or "",
        dataset=dataset,
        sha256=samples.sha256,
    )
