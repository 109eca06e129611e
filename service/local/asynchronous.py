"""The service's work in this process, without a server: the same tasks, blocks and reports, through one engine."""

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from service.client.blocking import Generated, Image, Output
from service.errors import DeadlineExceeded
from service.evaluation.figures.data import Figures
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import References
from service.evaluation.rendering.html import render_html
from service.evaluation.report.history import ReportFiles
from service.evaluation.report.schema import Report
from service.evaluation.samples.archives import Samples
from service.local.engine import LazyEngine
from service.operations.classify import Labelling
from service.operations.forecast import ForecastDocument, Question
from service.operations.generate import Sampling
from service.schemas import (
    Classification,
    EvaluationRequest,
    ForecastReply,
    ForecastRequest,
    GenerateRequest,
)
from service.settings import Settings, read_settings
from service.store import ModelStore


class AsyncLocal:
    """What `client.AsyncClient` does, done here. Results are those of a server with the same settings.

    The first work opens an engine, which is kept until `close` or the end of the context; it belongs to the event loop
    of that work. Without settings those of the environment hold. Raises ConfigurationError for settings that cannot be.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self._store = ModelStore.of(self.settings)
        self._engine = LazyEngine(self.settings, self._store)
        self._figures: Figures | None = None
        self.bench = Bench(self.settings, self._store, self._engine, References.of(self.settings), ReportFiles())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the engine; the next work opens another."""
        await self._engine.close()

    async def classify(self, images: Sequence[Image], *, model: str | None = None, top_k: int = 5) -> Classification:
        """The `top_k` likeliest labels of images (paths, or the bytes of image files).

        An image that cannot be read has an `error` in its place. Raises InvalidRequest, ModelNotFound, WrongTask.
        """
        chosen = self._store.get(model or self.settings.default_classifier, task="classify")
        labelling = Labelling.of(
            map(_named, images), chosen, top_k=top_k, limit_pixels=self.settings.image_limit_pixels
        )
        return Classification.model_validate(await labelling.ask(self._engine))

    async def forecast(self, request: ForecastRequest) -> ForecastReply:
        """How a series goes on. Raises InvalidRequest, InvalidSeries, ModelNotFound, WrongTask."""
        model = self._store.get(request.model or self.settings.default_forecaster, task="forecast")
        question = Question.of(request, model, limit=self.settings.forecast_limit)
        document = ForecastDocument(question)
        pieces = [document.add(block) async for block in question.ask(self._engine)]
        return ForecastReply.model_validate_json(b"".join([*pieces, document.finish()]))

    async def generate(self, request: GenerateRequest, output: Output) -> Generated:
        """Draw samples into an open file, block by block. Raises InvalidRequest, ModelNotFound, WrongTask."""
        model = self._store.get(request.model or self.settings.default_generator, task="generate")
        sampling = Sampling.of(request, model)
        with closing(sampling.format.stream(sampling.contents())) as stream:
            async for block in sampling.blocks(self._engine):
                output.write(stream.add(block))
            output.write(stream.finish())
        return Generated(model=model.id, version=model.version, seed=sampling.seed, count=sampling.count)

    async def evaluate(
        self,
        generated: Path,
        request: EvaluationRequest,
        *,
        reference: Path | None = None,
        wait_s: float | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Report:
        """The report on a file of generated samples, compared with the file `reference` or the request's stored one.

        Raises the error that ended the evaluation, and DeadlineExceeded after `wait_s` seconds, once the step that is
        under way is over.
        """
        with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
            work = self.measure(
                request, generated, reference, working_dir=Path(directory), on_progress=on_progress, figures=True
            )
            return await _in_time(work, wait_s)

    async def page(self, report: Report) -> str:
        """The report as an HTML page, with plots and samples where it is the last one made here."""
        return render_html(report, self._figures)

    async def measure(
        self,
        request: EvaluationRequest,
        generated: Path | Samples,
        reference: Path | Samples | None,
        *,
        working_dir: Path,
        on_progress: Callable[[float], None] = lambda _: None,
        figures: bool = False,
    ) -> Report:
        """The report on two sets, of files or of samples that were read before, as `pipeline.evaluate` makes it."""
        return await evaluate(
            request,
            self.bench,
            report_id=secrets.token_hex(8),
            generated=generated,
            reference=reference,
            working_dir=working_dir,
            on_progress=on_progress,
            on_figures=self._keep_figures if figures else None,
        )

    def _keep_figures(self, figures: Figures) -> None:
        self._figures = figures


def _named(image: Image) -> tuple[str | None, bytes]:
    """An image's name, where it has one, and its bytes."""
    return (str(image), image.read_bytes()) if isinstance(image, Path) else (None, image)


async def _in_time(work: Coroutine[Any, Any, Report], wait_s: float | None) -> Report:
    try:
        async with asyncio.timeout(wait_s):
            return await work
    except TimeoutError as error:
        if wait_s is None:
            raise
        raise DeadlineExceeded(f"The evaluation is not over after {wait_s:g} s.") from error
