"""What a card says a model is worth: measured on data that training never saw, on the path that serves it."""

import tempfile
from pathlib import Path

import numpy as np

from service.datasets.split import Split
from service.evaluation.archives import open_samples
from service.evaluation.extraction import extract_features
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import Reference, make_reference
from service.evaluation.unpacking import Limits
from service.imaging import Pixels
from service.runtime.calls import EngineClient
from service.runtime.sampling import sample_images
from service.schemas import EvaluationRequest
from service.store import Model, Score

SAMPLES = 5000
"""Images of a generator behind the scores of its card."""
GENERATOR_METRICS = ("fid", "inception_score", "mmd")


async def classifier_scores(model: Model, engine: EngineClient, test: Split) -> dict[str, Score]:
    """The accuracy on test images of the model's own size."""
    _, probabilities = await extract_features(engine, model, test.images)
    right = int((probabilities.argmax(axis=1) == test.labels).sum())
    on = f"{model.manifest.dataset} test"
    return {"accuracy": Score(value=right / len(test), on=on, how=f"{right:,} of {len(test):,} images")}


async def generator_scores(model: Model, bench: Bench, *, seed: int) -> dict[str, Score]:
    """The metrics of 5,000 images of a seed against the stored test set of the model's dataset.

    Raises ReferenceNotFound where there is none.
    """
    reference = f"{model.manifest.dataset}-test"
    images = await draw(bench.engine, model, seed=seed, count=SAMPLES)
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


async def draw(engine: EngineClient, model: Model, *, seed: int, count: int) -> Pixels:
    """The first images of a seed, uint8 (count, H, W, C)."""
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
        samples = open_samples(upload, working_dir=working_dir, size=spec.size, channels=spec.channels, limits=limits)
        assert samples.images is not None
        features, probabilities = await extract_features(engine, extractor, samples.images)
    return make_reference(
        name,
        features,
        probabilities,
        extractor=extractor.id,
        weights_sha256=extractor.card.sha256 if extractor.card else "",
        dataset=dataset,
        sha256=samples.sha256,
    )
