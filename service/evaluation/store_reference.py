"""A real set becomes a stored reference: read and extracted as the sets of an evaluation are."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import InvalidSamples
from service.evaluation.extraction import beside_images, extract_features
from service.evaluation.pipeline import Bench, Progress
from service.evaluation.references import CALLER, Reference, make_reference
from service.evaluation.samples.archives import open_samples, read_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape
from service.evaluation.threads import in_thread
from service.imaging import Pixels
from service.metrics.samples import softmax
from service.runtime.calls import EngineClient
from service.schemas import ReferenceRequest, ReferenceSummary
from service.store import Model


@dataclass(frozen=True, slots=True)
class StoredReference:
    """A reference written beside its place: its summary, and what puts it there at once."""

    summary: ReferenceSummary
    publish: Callable[[], object]


def plan_reference(request: ReferenceRequest, bench: Bench) -> Model:
    """The extractor that looks at a reference's images.

    Raises InvalidRequest, ReferenceShipped, ModelNotFound, WrongTask.
    """
    bench.references.check_free(request.name)
    return bench.store.extractor(request.features or bench.settings.default_classifier)


async def store_reference(
    request: ReferenceRequest,
    bench: Bench,
    *,
    upload: Path,
    working_dir: Path,
    on_progress: Progress = lambda _: None,
) -> StoredReference:
    """The reference of an uploaded file, ready to be put in its place. Raises the ServiceError that ends it."""
    extractor = plan_reference(request, bench)
    samples = await read_samples(
        upload, working_dir, extractor.input, bench.settings, skip_unreadable=request.skip_unreadable
    )
    if samples.images is not None:
        rows = await extract_features(
            bench.engine, extractor, samples.images, folder=working_dir, on_progress=on_progress
        )
        reference = await in_thread(lambda _: _of_images(request, samples, extractor, *rows))
    else:
        reference = await in_thread(lambda _: _of_features(request, samples, extractor))
    publish = await in_thread(lambda _: bench.references.stage(reference))
    described = reference.description.model_dump(exclude={"seed"})
    return StoredReference(ReferenceSummary.model_validate({**described, "shipped": False}), publish)


async def reference_of_images(
    name: str, images: Pixels, extractor: Model, engine: EngineClient, *, dataset: str
) -> Reference:
    """The reference of images uint8 (n, H, W, C) that are here already, read and ordered as an upload would be."""
    with tempfile.TemporaryDirectory() as directory:
        upload, working_dir = Path(directory) / "images.npy", Path(directory) / "samples"
        working_dir.mkdir()
        np.save(upload, images)
        limits = Limits(images.nbytes + 4096, images.shape[1] * images.shape[2])
        shape = ImageShape.of(extractor.input)
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


def _of_images(
    request: ReferenceRequest,
    samples: Samples,
    extractor: Model,
    features: np.ndarray[Any, np.dtype[np.float32]],
    probabilities: np.ndarray[Any, np.dtype[np.float32]] | None,
) -> Reference:
    given, said = beside_images(samples, features.shape[1], extractor.id)
    if given is None and said:
        raise InvalidSamples(f"The file holds statistics beside images, but {said[0]}")
    return make_reference(
        request.name,
        features,
        probabilities,
        extractor=extractor.id,
        weights_sha256=extractor.weights_sha256 or "",
        dataset=request.dataset,
        sha256=samples.sha256,
        statistics=given,
        seed=request.seed,
    )


def _of_features(request: ReferenceRequest, samples: Samples, extractor: Model) -> Reference:
    """Features or statistics as they were sent: those of the model that the request names, else the caller's own."""
    return make_reference(
        request.name,
        samples.features,
        samples.probabilities if samples.logits is None else softmax(samples.logits, "reference"),
        extractor=extractor.id if request.features else CALLER,
        weights_sha256=(extractor.weights_sha256 or "") if request.features else "",
        dataset=request.dataset,
        sha256=samples.sha256,
        statistics=samples.statistics,
        seed=request.seed,
    )
