"""A real set becomes a stored reference: read and extracted as the sets of an evaluation are."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from service.evaluation.threads import Stop, in_thread
from service.imaging import Pixels
from service.metrics.floor import FloorLaw
from service.metrics.metric import Side
from service.metrics.registry import build_metric
from service.metrics.samples import Rows, softmax
from service.runtime.calls import EngineClient
from service.schemas import ReferenceRequest, ReferenceSummary
from service.store import Model

FLOOR_METRICS = ("fid", "kid", "mmd", "precision", "recall", "memorisation")
"""Those whose floor a stored reference keeps, with the usual options: of the others it is no law in 1/n."""
FLOOR_SIZES = (500, 1000, 2000, 5000, 10_000)
FLOOR_SETS = 10
"""Disjoint sets of each size, at most."""


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
    return bench.store.extractor(bench.settings.default_classifier if request.features is None else request.features)


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
    return StoredReference(reference.summary(shipped=False), publish)


async def reference_of_images(
    name: str,
    images: Pixels,
    extractor: Model,
    engine: EngineClient,
    *,
    dataset: str,
    others: Pixels | None = None,
    others_are: str = "",
) -> Reference:
    """The reference of images uint8 (n, H, W, C) that are here already, read and ordered as an upload would be.

    With other real images of the same kind, of what scores these reach against it at several sizes.
    """
    with tempfile.TemporaryDirectory() as directory:
        upload, working_dir = Path(directory) / "images.npy", Path(directory) / "samples"
        working_dir.mkdir()
        np.save(upload, images)
        limits = Limits(images.nbytes + 4096, images.shape[1] * images.shape[2])
        shape = ImageShape.of(extractor.input)
        samples = open_samples(upload, working_dir=working_dir, shape=shape, limits=limits)
        assert samples.images is not None
        features, probabilities = await extract_features(engine, extractor, samples.images)
    reference = make_reference(
        name,
        features,
        probabilities,
        extractor=extractor.id,
        weights_sha256=extractor.weights_sha256 or "",
        dataset=dataset,
        sha256=samples.sha256,
        digests=samples.digests,
    )
    if others is None:
        return reference
    seen, _ = await extract_features(engine, extractor, others)
    laws = await in_thread(lambda stop: floors_of(reference.side, seen, others_are, stop=stop))
    return replace(reference, description=reference.description.model_copy(update={"floors": laws}))


def floors_of(
    reference: Side, features: Rows, on: str, *, seed: int = 0, stop: Stop | None = None
) -> dict[str, FloorLaw]:
    """What features (n, d) of other real samples score against a reference, in disjoint sets of several sizes."""
    metrics = {name: build_metric(name) for name in FLOOR_METRICS}
    order = np.random.default_rng(seed).permutation(len(features))
    scores: dict[str, dict[int, list[float]]] = {name: {} for name in metrics}
    for size in (size for size in FLOOR_SIZES if 2 * size <= len(features)):
        for start in range(0, min(len(features) - size + 1, FLOOR_SETS * size), size):
            side = Side(features[np.sort(order[start : start + size])])
            for name, metric in metrics.items():
                (stop or Stop()).check()
                scores[name].setdefault(size, []).append(metric.measure(reference, side).value)
    return {name: FloorLaw.of(found, on) for name, found in scores.items() if len(found) > 1}


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
        digests=samples.digests,
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
        digests=samples.digests,
        statistics=samples.statistics,
        seed=request.seed,
    )
