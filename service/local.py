"""The service's work in this process, without a server: the same tasks, blocks and reports, through one engine."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from service.client import Generated, Image, Output
from service.errors import DeadlineExceeded
from service.evaluation.figures.data import Figures
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import References
from service.evaluation.rendering.html import render_html
from service.evaluation.report.history import ReportFiles
from service.evaluation.report.schema import Report
from service.operations.classify import Labelling
from service.operations.forecast import ForecastDocument, Question
from service.operations.generate import Sampling
from service.runtime.devices import available_devices
from service.runtime.in_process import LocalEngine
from service.schemas import (
    Classification,
    EvaluationRequest,
    ForecastReply,
    ForecastRequest,
    GenerateRequest,
)
from service.settings import Settings
from service.store import ModelStore

REPORT_ID = "local"


class Local:
    """What `client.Client` does, done here. Results are those of a server with the same settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ModelStore.of(settings)
        self._figures: Figures | None = None

    def classify(self, images: Sequence[Image], *, model: str | None = None, top_k: int = 5) -> Classification:
        """The `top_k` likeliest labels of images (paths, or the bytes of image files).

        An image that cannot be read has an `error` in its place. Raises InvalidRequest, ModelNotFound, WrongTask.
        """
        return asyncio.run(self._classify(images, model, top_k))

    def forecast(self, request: ForecastRequest) -> ForecastReply:
        """How a series goes on. Raises InvalidRequest, InvalidSeries, ModelNotFound, WrongTask."""
        return asyncio.run(self._forecast(request))

    def generate(self, request: GenerateRequest, output: Output) -> Generated:
        """Draw samples into an open file, block by block. Raises InvalidRequest, ModelNotFound, WrongTask."""
        return asyncio.run(self._generate(request, output))

    def evaluate(
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
        with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:  # outlives the loop and its threads
            work = self._evaluate(generated, request, reference, Path(directory), on_progress)
            return asyncio.run(_in_time(work, wait_s))

    def page(self, report: Report) -> str:
        """The report as an HTML page, with plots and samples where it is the last one made here."""
        return render_html(report, self._figures)

    async def _classify(self, images: Sequence[Image], model_id: str | None, top_k: int) -> Classification:
        model = self._store.get(model_id or self._settings.default_classifier, task="classify")
        labelling = Labelling.of(
            map(_named, images), model, top_k=top_k, limit_pixels=self._settings.image_limit_pixels
        )
        async with self._engine() as engine:
            return Classification.model_validate(await labelling.ask(engine))

    async def _forecast(self, request: ForecastRequest) -> ForecastReply:
        model = self._store.get(request.model or self._settings.default_forecaster, task="forecast")
        question = Question.of(request, model, limit=self._settings.forecast_limit)
        document = ForecastDocument(question)
        async with self._engine() as engine:
            pieces = [document.add(block) async for block in question.ask(engine)]
        return ForecastReply.model_validate_json(b"".join([*pieces, document.finish()]))

    async def _generate(self, request: GenerateRequest, output: Output) -> Generated:
        model = self._store.get(request.model or self._settings.default_generator, task="generate")
        sampling = Sampling.of(request, model)
        with closing(sampling.format.stream(sampling.contents())) as stream:
            async with self._engine() as engine:
                async for block in sampling.blocks(engine):
                    output.write(stream.add(block))
            output.write(stream.finish())
        return Generated(model=model.id, version=model.version, seed=sampling.seed, count=sampling.count)

    async def _evaluate(
        self,
        generated: Path,
        request: EvaluationRequest,
        reference: Path | None,
        working_dir: Path,
        on_progress: Callable[[float], None],
    ) -> Report:
        async with self._engine() as engine:
            return await evaluate(
                request,
                Bench(self._settings, self._store, engine, References.of(self._settings), ReportFiles()),
                report_id=REPORT_ID,
                generated=generated,
                reference=reference,
                working_dir=working_dir,
                on_progress=on_progress,
                on_figures=self._keep_figures,
            )

    def _keep_figures(self, figures: Figures) -> None:
        self._figures = figures

    @asynccontextmanager
    async def _engine(self) -> AsyncIterator[LocalEngine]:
        """The first device that a server would take, with as many threads, so that both give the same bits."""
        device = available_devices(self._settings.devices)[0]
        async with LocalEngine(self._store, device=device, threads=self._settings.engine_threads) as engine:
            yield engine


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
