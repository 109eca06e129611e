"""One evaluation from its files to its report: read, extract, measure, judge."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from service.errors import InvalidRequest, InvalidSamples
from service.evaluation.extraction import beside_images, side_of_images
from service.evaluation.figures.compute import Lot, compute_figures
from service.evaluation.figures.data import Figures
from service.evaluation.measure import Measurement, choose_metrics, measure, side_of
from service.evaluation.placing import card_of, versions_of
from service.evaluation.references import CALLER, Description, References
from service.evaluation.report.baseline import check_extractor, check_options, check_reference, compare, unlike
from service.evaluation.report.history import History, NoHistory, sha256_of
from service.evaluation.report.schema import TOTAL, Extraction, GeneratedSet, MetricEntry, ReferenceSet, Report, Verdict
from service.evaluation.report.thresholds import Threshold, apply_thresholds, parse_thresholds
from service.evaluation.samples.archives import read_samples
from service.evaluation.samples.reading import Samples
from service.evaluation.stages import timed
from service.evaluation.threads import in_thread
from service.imaging import DECODER
from service.metrics.metric import Metric, Side
from service.metrics.placement import Card
from service.metrics.samples import check_dimensions
from service.resampling import RESIZING
from service.runtime.calls import Engines
from service.schemas import EvaluationRequest
from service.settings import Settings
from service.store import Model, ModelStore

Progress = Callable[[float], object]

BASELINE = "baseline: "
SHARE_OF_SETS = 0.9  # of the progress that is reported; the rest is measuring
FEATURES_WANTED = (
    "The stored reference holds features that were sent. Send features of the same kind (npz with `features`): "
    "nothing here makes such of images."
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every evaluation is made with."""

    settings: Settings
    store: ModelStore
    engine: Engines
    references: References
    history: History = field(default_factory=NoHistory)


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that can be carried out: names resolved, options checked."""

    extractor: Model
    metrics: dict[str, Metric]
    thresholds: tuple[Threshold, ...]
    stored: Description | None
    baseline: Report | None = None
    optional: frozenset[str] = frozenset()
    """Metrics that nobody named: left out where they cannot be computed."""
    card: Card | None = None
    """What multiplies for them, unless numpy does."""

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """What each metric is computed with."""
        return {name: metric.model_dump(mode="json") for name, metric in self.metrics.items()}

    @property
    def wants_features(self) -> bool:
        """Whether the stored reference holds features of the caller's own, which nothing here makes of images."""
        return self.stored is not None and self.stored.extractor == CALLER


def plan(request: EvaluationRequest, bench: Bench, *, has_file: bool) -> Plan:
    """Check a request before its files are read.

    Raises InvalidRequest, ModelNotFound, WrongTask, ReferenceNotFound, EvaluationNotFound and NotComparable.
    """
    if has_file == (request.reference_name is not None):
        raise InvalidRequest("Send either the file `reference` or the name of a stored one as `reference_name`.")
    metrics = choose_metrics(request.metrics or (), request.options)
    thresholds = parse_thresholds(request.thresholds or "", metrics)
    named = {threshold.metric for threshold in thresholds}
    optional = frozenset() if request.metrics else frozenset(metrics.keys() - named)
    stored = None if request.reference_name is None else bench.references.describe(request.reference_name)
    usual = stored.extractor if stored else bench.settings.default_classifier
    wanted = usual if request.features is None else request.features
    extractor = bench.store.extractor(bench.settings.default_classifier if wanted == CALLER else wanted)
    if stored is not None:
        stored.check_extractor(wanted, None if wanted == CALLER else extractor.weights_sha256)
    earlier = None if request.baseline is None else bench.history.report(request.baseline)
    chosen = Plan(extractor, metrics, thresholds, stored, earlier, optional)
    if earlier is not None:
        check_options(earlier, chosen.options, request.seed)
        if stored is not None:
            check_reference(earlier, stored.sha256, stored.name)
    return chosen


async def evaluate(
    request: EvaluationRequest,
    bench: Bench,
    *,
    report_id: str,
    generated: Path | Samples,
    reference: Path | Samples | None,
    working_dir: Path,
    on_progress: Progress = lambda _: None,
    on_figures: Callable[[Figures], None] | None = None,
) -> Report:
    """The report on the samples in `generated`, compared with those in `reference` or with the stored ones.

    Either is a file, or was read before, for the extractor of the plan. `working_dir` must exist and outlive the call.
    `on_figures` is given the figures, unless the numbers are those of an earlier evaluation. Raises the ServiceError
    that ends the evaluation.
    """
    chosen = await asyncio.to_thread(plan, request, bench, has_file=reference is not None)
    chosen = replace(chosen, card=await asyncio.to_thread(card_of, bench.settings.metrics_device))
    evaluation = _Evaluation(request, bench, chosen, working_dir, on_progress, on_figures)
    return await evaluation.run(report_id, generated, reference)


class _Evaluation:
    """The steps, and what they leave for the report."""

    def __init__(
        self,
        request: EvaluationRequest,
        bench: Bench,
        chosen: Plan,
        working_dir: Path,
        on_progress: Progress,
        on_figures: Callable[[Figures], None] | None,
    ) -> None:
        self._request = request
        self._bench = bench
        self._plan = chosen
        self._working_dir = working_dir
        self._on_progress = on_progress
        self._on_figures = on_figures
        self._shares: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._extracted: set[str] = set()
        self._began = time.perf_counter()
        self._warnings: dict[str, list[str]] = {"generated": [], "reference": []}

    async def run(self, report_id: str, generated: Path | Samples, reference: Path | Samples | None) -> Report:
        sent = await self._open(generated, "generated")
        generated_set = GeneratedSet(count=sent.count, sha256=sent.sha256, understood=sent.understood)
        self._shares = dict.fromkeys(("generated", "reference") if reference else ("generated",), 0.0)
        # While a reference that was sent is read the engines work; against a stored one nothing is begun in vain.
        judging = asyncio.create_task(self._side(sent, "generated")) if reference else None
        try:
            real = None if reference is None else await self._open(reference, "reference")
            reference_set, kept = await in_thread(lambda _: self._reference_set(real))
            self._check_baseline(reference_set)
            if earlier := await self._measured_before(sent, real):
                return self._reuse(earlier, report_id, generated_set, reference_set)
            side = kept or await self._side(real, "reference")
            judged = await (judging or self._side(sent, "generated"))
        finally:
            if judging is not None:
                judging.cancel()
                await asyncio.gather(judging, return_exceptions=True)
        # An extractor that was not loaded has said by now where it runs.
        if earlier := await self._measured_before(sent, real):
            return self._reuse(earlier, report_id, generated_set, reference_set)
        extraction = self._extraction(judged, side)
        measured = await self._measure(Lot(judged, sent.images), Lot(side, real.images if real else None))
        return Report(
            id=report_id,
            seed=self._request.seed,
            generated=generated_set,
            reference=reference_set,
            features=extraction,
            metrics=measured.metrics,
            options={name: options for name, options in self._plan.options.items() if name in measured.metrics},
            copies=measured.copies,
            warnings=(
                *self._warnings["generated"],
                *self._warnings["reference"],
                *self._trust(),
                *measured.warnings,
                *self._unlike(measured.metrics),
            ),
            verdict=self._verdict(measured.metrics),
            timing={**self._timing(), **measured.timing},
            inputs_sha256=self._inputs(sent, real),
            versions=versions_of(self._plan.card),
        )

    async def _measure(self, generated: Lot, reference: Lot) -> Measurement:
        """The scores of two sides, and the figures where they are wanted."""
        metrics, judged, side = self._plan.metrics, generated.side, reference.side
        request = self._request
        # Figures are computed beside the metrics.
        computing = asyncio.create_task(self._compute_figures(generated, reference, curve="fid" in metrics))
        try:
            with timed(self._seconds, "measure"):
                measured = await in_thread(
                    lambda stop: measure(
                        judged,
                        side,
                        metrics,
                        seed=request.seed,
                        intervals=request.intervals,
                        optional=self._plan.optional,
                        stop=stop,
                        card=self._plan.card,
                    )
                )
            figures = await computing
        finally:
            computing.cancel()
            await asyncio.gather(computing, return_exceptions=True)
        if self._on_figures is not None:
            await asyncio.to_thread(self._on_figures, figures)
        return measured

    async def _compute_figures(self, generated: Lot, reference: Lot, *, curve: bool) -> Figures:
        if self._on_figures is None:
            return Figures()
        extractor, seed = self._extractor(), self._request.seed
        labels = extractor.manifest.labels if extractor else ()
        with timed(self._seconds, "figures"):
            return await in_thread(
                lambda _: compute_figures(generated, reference, labels=labels, curve=curve, seed=seed)
            )

    async def _measured_before(self, sent: Samples, real: Samples | None) -> Report | None:
        """The report of an earlier evaluation of the very same inputs."""
        inputs = self._inputs(sent, real)
        return None if inputs is None else await asyncio.to_thread(self._bench.history.finished_like, inputs)

    def _reuse(self, earlier: Report, report_id: str, generated: GeneratedSet, reference: ReferenceSet) -> Report:
        """The report of the very same inputs, however they were packed, judged by this request's rules."""
        said = [warning for warning in earlier.warnings if not warning.startswith(BASELINE)]
        return earlier.model_copy(
            update={
                "id": report_id,
                "reused": earlier.id,
                "generated": generated,
                "reference": reference,
                "verdict": self._verdict(earlier.metrics),
                "warnings": (*said, *self._unlike(earlier.metrics)),
                "timing": self._timing(),
            }
        )

    def _verdict(self, metrics: Mapping[str, MetricEntry]) -> Verdict | None:
        baseline = self._plan.baseline
        said = self._request.inconclusive
        compared = () if baseline is None else compare(baseline, metrics, inconclusive=said)
        return apply_thresholds(self._plan.thresholds, metrics, compared, inconclusive=said)

    def _unlike(self, metrics: Collection[str]) -> tuple[str, ...]:
        return unlike(self._plan.baseline, metrics, versions_of(self._plan.card)) if self._plan.baseline else ()

    def _check_baseline(self, reference: ReferenceSet) -> None:
        """Refuse to be compared with what measured something else. Raises NotComparable."""
        baseline = self._plan.baseline
        if baseline is not None:
            check_reference(baseline, reference.sha256, reference.name)
            extractor = self._extractor()
            check_extractor(baseline, *((extractor.id, extractor.weights_sha256) if extractor else (CALLER, None)))

    def _extractor(self) -> Model | None:
        """What made the features of at least one side; None where the caller made them all."""
        if self._plan.wants_features or not (self._extracted or self._plan.stored):
            return None
        return self._plan.extractor

    def _inputs(self, sent: Samples, real: Samples | None) -> str | None:
        """A digest of everything that the numbers depend on; None where some of it is not known yet."""
        extractor, request, device = self._extractor(), self._request, None
        if extractor is not None:
            held = self._bench.engine.models().get(extractor.id)
            if extractor.weights_sha256 is None or held is None:
                return None
            device = held.kind, extractor.manifest.serving.block  # on which the bits of features depend
        sees_order = any(metric.sees_order for metric in self._plan.metrics.values())
        return sha256_of(
            generated=sent.sha256,
            reference=real.sha256 if real else self._plan.stored and self._plan.stored.model_dump(mode="json"),
            extractor=extractor and [extractor.id, extractor.weights_sha256, extractor.input.model_dump(), device],
            images=sorted(self._extracted),
            metrics=self._plan.options,
            optional=sorted(self._plan.optional),
            seed=request.seed,
            intervals=request.intervals,
            warnings=[*sent.warnings, *(real.warnings if real else ())],
            versions=versions_of(self._plan.card),
            decoder=DECODER,
            order=[samples.order_sha256 for samples in (sent, real) if samples] if sees_order else None,
        )

    def _reference_set(self, sent: Samples | None) -> tuple[ReferenceSet, Side | None]:
        """The reference, and its side where that is stored."""
        if sent is not None:
            return ReferenceSet(count=sent.count, sha256=sent.sha256, understood=sent.understood), None
        planned = self._plan.stored
        assert planned is not None
        kept = self._bench.references.get(planned.name)
        stored = kept.description
        if stored != planned:  # it has just been replaced
            stored.check_extractor(planned.extractor, planned.weights_sha256)
            self._plan = replace(self._plan, stored=stored)
        described = ReferenceSet(
            name=stored.name,
            dataset=stored.dataset,
            count=stored.count,
            kept=None if kept.features is None else len(kept.features),
            sha256=stored.sha256,
        )
        return described, kept.side

    async def _open(self, given: Path | Samples, whose: str) -> Samples:
        samples = given if isinstance(given, Samples) else await self._read(given, whose)
        prefix = "" if whose == "generated" else f"{whose}: "
        self._warnings[whose] += [f"{prefix}{warning}" for warning in samples.warnings]
        if samples.images is not None:
            if self._plan.wants_features:
                raise InvalidSamples(FEATURES_WANTED)
            self._extracted.add(whose)
        return samples

    async def _read(self, upload: Path, whose: str) -> Samples:
        with timed(self._seconds, f"read_{whose}"):
            return await read_samples(
                upload,
                self._working_dir,
                self._plan.extractor.input,
                self._bench.settings,
                skip_unreadable=self._request.skip_unreadable,
                whose=whose,
            )

    async def _side(self, samples: Samples | None, whose: str) -> Side:
        """What the metrics see of one set: its images through the extractor, anything else as it was sent."""
        assert samples is not None
        if samples.images is None:
            self._advance(whose, 1.0)
            return samples.side or side_of(samples, whose)
        side = samples.side or await self._extract(samples, whose)
        self._advance(whose, 1.0)
        _, said = beside_images(samples, side.dimensions, self._plan.extractor.id)
        self._warnings[whose] += [f"{whose}: {sentence}" for sentence in said]
        return side

    async def _extract(self, samples: Samples, whose: str) -> Side:
        with timed(self._seconds, f"extract_{whose}"):
            return await side_of_images(
                self._bench.engine,
                self._plan.extractor,
                samples,
                folder=self._working_dir,
                on_progress=lambda share: self._advance(whose, share),
            )

    def _advance(self, whose: str, share: float) -> None:
        """Report the progress of the sets, each an equal part of it."""
        self._shares[whose] = share
        self._on_progress(SHARE_OF_SETS * sum(self._shares.values()) / len(self._shares))

    def _extraction(self, judged: Side, reference: Side) -> Extraction:
        """Name what made the features. Raises InvalidSamples where the two sides were made by different means."""
        dim = judged.dimensions
        check_dimensions(reference.dimensions, dim)
        extractor = self._extractor()
        if extractor is None:
            return Extraction(extractor=CALLER, dim=dim)
        held = self._bench.engine.models().get(extractor.id)
        return Extraction(
            extractor=extractor.id,
            weights_sha256=extractor.weights_sha256,
            dim=dim,
            decoder=DECODER,
            resizing=f"{extractor.input.resample}: {RESIZING[extractor.input.resample]}",
            device=held.place if held else None,
        )

    def _trust(self) -> tuple[str, ...]:
        """Say where features that were sent are compared with those that an extractor made."""
        made = len(self._extracted) + (self._plan.stored is not None)
        if made in (0, 2) or self._plan.wants_features:
            return ()
        return (f"The features that were sent are taken to be those of {self._plan.extractor.id}, as the others are.",)

    def _timing(self) -> dict[str, float]:
        return {TOTAL: time.perf_counter() - self._began, **self._seconds}
