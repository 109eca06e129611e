"""What programs ask of evaluations and references in this process: the methods of `client.evaluations`, done here.

What measures is imported by whoever measures: a program that only classifies waits for none of it.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from service.batches import Layout, ValueRange
from service.client.requests import Options, Progress, evaluation_request, request_of, untold
from service.client.samples import SampleSet, sample_file
from service.errors import DeadlineExceeded
from service.local.engine import LazyEngine
from service.metrics.linear_algebra import one_thread
from service.notebooks import Listing
from service.schemas import EvaluationRequest, EvaluationState, Inconclusive, ReferenceRequest, ReferenceSummary
from service.settings import Settings
from service.store import ModelStore

if TYPE_CHECKING:
    from service.evaluation.figures.data import Figures
    from service.evaluation.pipeline import Bench
    from service.evaluation.report.schema import Report
    from service.evaluation.samples.reading import Samples
    from service.local.session import Session

T = TypeVar("T")


class LocalEvaluations:
    """Samples measured, and the references that they are compared with. Methods raise the service's own errors."""

    settings: Settings
    _store: ModelStore
    _engine: LazyEngine

    @cached_property
    def bench(self) -> "Bench":
        """What every evaluation is made with."""
        from service.evaluation.pipeline import Bench
        from service.evaluation.references import References

        return Bench(self.settings, self._store, self._engine, References.of(self.settings), self._session)

    @cached_property
    def _session(self) -> "Session":
        from service.local.session import Session

        return Session()

    async def evaluate(
        self,
        generated: SampleSet,
        reference: SampleSet,
        *,
        metrics: Sequence[str] | None = None,
        options: Options | None = None,
        features: str | None = None,
        thresholds: str | None = None,
        inconclusive: Inconclusive | None = None,
        baseline: str | None = None,
        seed: int = 0,
        intervals: bool = True,
        skip_unreadable: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
        wait_s: float | None = None,
        on_progress: Progress = untold,
    ) -> "Report":
        """The report on generated samples, compared with a reference: the name of a stored one, or a set of samples.

        A reference that is a str is a name, everything else is samples, a Path too. `layout` and `value_range` describe
        arrays. A baseline is an evaluation made here, or a file with a report. `on_progress` is told shares from 0 to
        1. Raises the error that ended the evaluation, and DeadlineExceeded after `wait_s` seconds, once the step that
        is under way is over.
        """
        from service.evaluation.figures.data import Figures
        from service.local.session import now

        request = evaluation_request(
            reference_name=reference if isinstance(reference, str) else None,
            metrics=metrics,
            options=options,
            features=features,
            thresholds=thresholds,
            inconclusive=inconclusive,
            baseline=baseline,
            seed=seed,
            intervals=intervals,
            skip_unreadable=skip_unreadable,
        )
        began, figures = now(), Figures()

        def keep(found: "Figures") -> None:
            nonlocal figures
            figures = found

        with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
            folder = Path(directory)

            def write() -> tuple[Path, Path | None]:
                sent = sample_file(generated, folder / "generated", layout=layout, value_range=value_range)
                if isinstance(reference, str):
                    return sent, None
                return sent, sample_file(reference, folder / "reference", layout=layout, value_range=value_range)

            files = await asyncio.to_thread(write)
            work = self.measure(request, *files, working_dir=folder, on_progress=on_progress, on_figures=keep)
            report = await _in_time(work, wait_s)
        self._session.remember(report, figures, began=began)
        return report

    async def measure(
        self,
        request: EvaluationRequest,
        generated: "Path | Samples",
        reference: "Path | Samples | None",
        *,
        working_dir: Path,
        on_progress: Progress = untold,
        on_figures: "Callable[[Figures], None] | None" = None,
    ) -> "Report":
        """The report on two sets, files or samples that were read before, as `pipeline.evaluate` makes it."""
        from service.evaluation.pipeline import evaluate

        with one_thread:
            return await evaluate(
                request,
                self.bench,
                report_id=secrets.token_hex(8),
                generated=generated,
                reference=reference,
                working_dir=working_dir,
                on_progress=on_progress,
                on_figures=on_figures,
            )

    async def evaluations(self, limit: int = 100) -> Listing[EvaluationState]:
        """The evaluations made here, newest first."""
        return Listing(self._session.states()[:limit])

    async def evaluation(self, evaluation_id: str) -> "Report | EvaluationState":
        """The report of an evaluation made here. Raises EvaluationNotFound."""
        return self._session.made(evaluation_id)[0]

    async def follow(self, evaluation_id: str) -> AsyncGenerator[EvaluationState, None]:
        """Where an evaluation made here stands: it is over. Raises EvaluationNotFound."""
        yield self._session.made(evaluation_id)[1]

    async def delete_evaluation(self, evaluation_id: str) -> None:
        """Forget an evaluation made here. Raises EvaluationNotFound."""
        self._session.forget(evaluation_id)

    async def page(self, report: "Report") -> str:
        """The report as an HTML page, with plots and samples where it is the last one made here."""
        from service.evaluation.rendering.html import render_html

        return render_html(report, self._session.figures(report))

    async def references(self) -> Listing[ReferenceSummary]:
        """The stored references."""
        references = self.bench.references
        return Listing(references.summary(name) for name in references.names())

    async def reference(self, name: str) -> ReferenceSummary:
        """Where a stored reference comes from. Raises ReferenceNotFound."""
        return self.bench.references.summary(name)

    async def put_reference(
        self,
        name: str,
        samples: SampleSet,
        *,
        features: str | None = None,
        dataset: str = "uploaded",
        seed: int = 0,
        skip_unreadable: bool = False,
        layout: Layout | None = None,
        value_range: ValueRange | None = None,
        wait_s: float | None = None,
        on_progress: Progress = untold,
    ) -> ReferenceSummary:
        """Keep real samples as features and statistics, in the place of a reference of this name.

        `features` names the model that looks at images, or that made the features which are given; `seed` chooses the
        rows that are kept. Raises as `evaluate` does, and ReferenceShipped.
        """
        from service.evaluation.store_reference import store_reference

        request = request_of(
            ReferenceRequest,
            name=name,
            features=features,
            dataset=dataset,
            seed=seed,
            skip_unreadable=skip_unreadable,
        )
        with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
            folder = Path(directory)
            file = await asyncio.to_thread(
                sample_file, samples, folder / "reference", layout=layout, value_range=value_range
            )
            work = store_reference(request, self.bench, upload=file, working_dir=folder, on_progress=on_progress)
            with one_thread:
                stored = await _in_time(work, wait_s)
            await asyncio.to_thread(stored.publish)
        return stored.summary

    async def delete_reference(self, name: str) -> None:
        """Remove a reference that was stored. Raises ReferenceNotFound, ReferenceShipped."""
        self.bench.references.remove(name)


async def _in_time(work: Coroutine[Any, Any, T], wait_s: float | None) -> T:
    try:
        async with asyncio.timeout(wait_s):
            return await work
    except TimeoutError as error:
        if wait_s is None:
            raise
        raise DeadlineExceeded(f"The evaluation is not over after {wait_s:g} s.") from error
