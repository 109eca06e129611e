"""One evaluation from its files to its report: read, extract, measure, judge."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service import __version__
from service.errors import InvalidRequest, InvalidSamples
from service.evaluation.archives import Samples, open_samples
from service.evaluation.extraction import extract_features
from service.evaluation.judge import judge, parse_thresholds
from service.evaluation.measure import choose_metrics, measurable, measure, side_of
from service.evaluation.references import Description, References
from service.evaluation.reports import Extraction, GeneratedSet, ReferenceSet, Report
from service.evaluation.unpacking import Limits
from service.imaging import DECODER
from service.metrics.metric import Metric, Side
from service.metrics.samples import check_dimensions
from service.runtime.calls import Engines
from service.schemas import EvaluationRequest
from service.settings import Settings
from service.store import Model, ModelStore

CALLER = "caller"
"""The extractor of features that were sent."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every evaluation is made with."""

    settings: Settings
    store: ModelStore
    engine: Engines
    references: References


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that can be carried out: names resolved, options checked."""

    extractor: Model
    metrics: dict[str, Metric]
    stored: Description | None


def plan(request: EvaluationRequest, bench: Bench, *, has_file: bool) -> Plan:
    """Check a request before its files are read.

    Raises InvalidRequest, ModelNotFound, WrongTask and ReferenceNotFound.
    """
    if has_file == (request.reference_name is not None):
        raise InvalidRequest("Send either the file `reference` or the name of a stored one as `reference_name`.")
    metrics = choose_metrics(request.metrics or (), request.options)
    parse_thresholds(request.thresholds or "", metrics)
    stored = None if request.reference_name is None else bench.references.describe(request.reference_name)
    wanted = request.features or (stored.extractor if stored else bench.settings.default_classifier)
    extractor = bench.store.get(wanted, task="classify")
    if stored is not None:
        weights = extractor.card.sha256 if extractor.card else None
        bench.references.get(stored.name, extractor=wanted, weights_sha256=weights)
    return Plan(extractor, metrics, stored)


async def evaluate(
    request: EvaluationRequest,
    bench: Bench,
    *,
    report_id: str,
    generated: Path,
    reference: Path | None,
    working_dir: Path,
    on_progress: Progress = lambda _: None,
) -> Report:
    """The report on the samples in `generated`, compared with those in `reference` or with the stored ones.

    `working_dir` must exist and outlive the call. Raises the ServiceError that ends the evaluation.
    """
    chosen = plan(request, bench, has_file=reference is not None)
    return await _Evaluation(request, bench, chosen, working_dir, on_progress).run(report_id, generated, reference)


class _Evaluation:
    """The steps, and what they leave for the report."""

    def __init__(
        self, request: EvaluationRequest, bench: Bench, chosen: Plan, working_dir: Path, on_progress: Progress
    ) -> None:
        self._request = request
        self._bench = bench
        self._plan = chosen
        self._working_dir = working_dir
        self._on_progress = on_progress
        self._seconds: dict[str, float] = {}
        self._extracted: set[str] = set()

    async def run(self, report_id: str, generated: Path, reference: Path | None) -> Report:
        sent = await self._open(generated, "generated")
        side, reference_set, reference_warnings = await self._reference(reference)
        judged = await self._side(sent, "generated", 0.5 if reference else 0.0, 0.9)
        extraction = self._extraction(judged, side)
        metrics = self._plan.metrics
        if self._request.metrics is None and not self._request.thresholds:
            metrics = measurable(metrics, judged, side) or metrics
        with self._timed("measure"):
            measured = await asyncio.to_thread(measure, judged, side, metrics, seed=self._request.seed)
        thresholds = parse_thresholds(self._request.thresholds or "", metrics)
        return Report(
            id=report_id,
            seed=self._request.seed,
            generated=GeneratedSet(count=sent.count, sha256=sent.sha256),
            reference=reference_set,
            features=extraction,
            metrics=measured.metrics,
            warnings=(*sent.warnings, *reference_warnings, *self._trust(), *measured.warnings),
            verdict=judge(thresholds, measured.metrics),
            timing={**self._seconds, **measured.timing},
            versions={"chapterhouse": __version__, "numpy": np.__version__},
        )

    async def _reference(self, path: Path | None) -> tuple[Side, ReferenceSet, tuple[str, ...]]:
        stored = self._plan.stored
        if stored is not None:
            kept = await asyncio.to_thread(self._bench.references.get, stored.name)
            described = ReferenceSet(
                name=stored.name,
                dataset=stored.dataset,
                count=stored.count,
                kept=len(kept.features),
                sha256=stored.sha256,
            )
            return kept.side, described, ()
        assert path is not None
        sent = await self._open(path, "reference")
        side = await self._side(sent, "reference", 0.0, 0.5)
        warnings = tuple(f"reference: {warning}" for warning in sent.warnings)
        return side, ReferenceSet(count=sent.count, sha256=sent.sha256), warnings

    async def _open(self, path: Path, whose: str) -> Samples:
        settings, spec = self._bench.settings, self._plan.extractor.input
        folder = self._working_dir / f"{whose}.samples"
        with self._timed(f"read_{whose}"):
            return await asyncio.to_thread(
                _open_anew,
                path,
                folder,
                spec.size,
                spec.channels,
                Limits(settings.upload_limit_bytes, settings.image_limit_pixels),
                self._request.skip_unreadable,
            )

    async def _side(self, samples: Samples, whose: str, begin: float, end: float) -> Side:
        """What the metrics see of one set: its images through the extractor, anything else as it was sent."""
        if samples.images is None:
            return side_of(samples, whose)
        self._extracted.add(whose)
        with self._timed(f"extract_{whose}"):
            features, probabilities = await extract_features(
                self._bench.engine,
                self._plan.extractor,
                samples.images,
                on_progress=lambda share: self._on_progress(begin + (end - begin) * share),
            )
        return Side(features=features, probabilities=probabilities)

    def _extraction(self, judged: Side, reference: Side) -> Extraction:
        """Name what made the features. Raises InvalidSamples where the two sides were made by different means."""
        dims = [_dimensions(judged), _dimensions(reference)]
        check_dimensions(*dims)
        if not self._extracted and self._plan.stored is None:
            return Extraction(extractor=CALLER, dim=dims[0])
        extractor = self._plan.extractor
        held = self._bench.engine.models().get(extractor.id)
        return Extraction(
            extractor=extractor.id,
            weights_sha256=extractor.card.sha256 if extractor.card else None,
            dim=dims[0],
            decoder=DECODER,
            device=held.device if held else None,
        )

    def _trust(self) -> tuple[str, ...]:
        """Say where features that were sent are compared with those that an extractor made."""
        made = len(self._extracted) + (self._plan.stored is not None)
        if made in (0, 2):
            return ()
        return (f"The features that were sent are taken to be those of {self._plan.extractor.id}, as the others are.",)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds[step] = time.perf_counter() - began


def _dimensions(side: Side) -> int:
    if side.features is not None:
        return int(side.features.shape[1])
    if side.statistics is not None:
        return len(side.statistics.mean)
    raise InvalidSamples("There is nothing to measure.")


def _open_anew(
    path: Path,
    folder: Path,
    size: tuple[int, int],
    channels: int,
    limits: Limits,
    skip_unreadable: bool,  # noqa: FBT001
) -> Samples:
    """Open in a folder of its own, emptied of what an attempt that died left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return open_samples(
        path, working_dir=folder, size=size, channels=channels, limits=limits, skip_unreadable=skip_unreadable
    )
