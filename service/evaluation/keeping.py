"""A real set that was sent becomes a stored reference: read and extracted as the sets of an evaluation are."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import InvalidSamples
from service.evaluation.archives import Samples
from service.evaluation.extraction import extract_features
from service.evaluation.pipeline import Bench, Progress, beside_images, open_anew
from service.evaluation.references import CALLER, Reference, check_name, make_reference
from service.evaluation.unpacking import Limits
from service.metrics.samples import softmax
from service.schemas import ReferenceRequest, ReferenceSummary
from service.store import Model


@dataclass(frozen=True, slots=True)
class Kept:
    """A reference that lies beside its place: what is told of it, and what puts it there at once."""

    summary: ReferenceSummary
    publish: Callable[[], object]


def plan_reference(request: ReferenceRequest, bench: Bench) -> Model:
    """The classifier that looks at a reference's images. Raises InvalidRequest, ModelNotFound, WrongTask."""
    check_name(request.name)
    return bench.store.get(request.features or bench.settings.default_classifier, task="classify")


async def keep_reference(
    request: ReferenceRequest,
    bench: Bench,
    *,
    upload: Path,
    working_dir: Path,
    on_progress: Progress = lambda _: None,
) -> Kept:
    """The reference of an uploaded file, ready to be put in its place. Raises the ServiceError that ends it."""
    extractor = plan_reference(request, bench)
    settings, spec = bench.settings, extractor.input
    samples = await asyncio.to_thread(
        open_anew,
        upload,
        working_dir / "reference.samples",
        spec.size,
        spec.channels,
        Limits(settings.upload_limit_bytes, settings.image_limit_pixels),
        request.skip_unreadable,
    )
    if samples.images is not None:
        rows = await extract_features(bench.engine, extractor, samples.images, on_progress=on_progress)
        reference = await asyncio.to_thread(_of_images, request, samples, extractor, *rows)
    else:
        reference = await asyncio.to_thread(_of_features, request, samples, extractor)
    publish = await asyncio.to_thread(bench.references.stage, reference)
    described = reference.description.model_dump(exclude={"seed"})
    return Kept(ReferenceSummary.model_validate({**described, "shipped": False}), publish)


def _of_images(
    request: ReferenceRequest,
    samples: Samples,
    extractor: Model,
    features: np.ndarray[Any, np.dtype[np.float32]],
    probabilities: np.ndarray[Any, np.dtype[np.float32]],
) -> Reference:
    given, said = beside_images(samples, features.shape[1], extractor.id)
    if given is None and said:
        raise InvalidSamples(f"The file holds statistics beside images, but {said[0]}")
    return make_reference(
        request.name,
        features,
        probabilities,
        extractor=extractor.id,
        weights_sha256=_weights_of(extractor),
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
        None if samples.logits is None else softmax(samples.logits, "reference"),
        extractor=extractor.id if request.features else CALLER,
        weights_sha256=_weights_of(extractor) if request.features else "",
        dataset=request.dataset,
        sha256=samples.sha256,
        statistics=samples.statistics,
        seed=request.seed,
    )


def _weights_of(extractor: Model) -> str:
    return extractor.card.sha256 if extractor.card else ""
