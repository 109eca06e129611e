"""Where a command's work is done: in this process, or by a running service. Both are asked in the same words."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from service.settings import read_settings

if TYPE_CHECKING:
    from service.client.blocking import Generated, Image, Output
    from service.evaluation.report.schema import Report
    from service.schemas import Classification, EvaluationRequest, ForecastReply, ForecastRequest, GenerateRequest

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="A running service that does the work, such as http://127.0.0.1:8000; this process unless given.",
    ),
]


class Place(Protocol):
    """Somewhere that classifies, forecasts, generates and evaluates."""

    def classify(self, images: "Sequence[Image]", *, model: str | None = None, top_k: int = 5) -> "Classification":
        """The `top_k` likeliest labels of image files; one that cannot be read has an `error` in its place."""
        ...

    def forecast(self, request: "ForecastRequest") -> "ForecastReply":
        """How a series goes on."""
        ...

    def generate(self, request: "GenerateRequest", output: "Output") -> "Generated":
        """Draw samples into an open file."""
        ...

    def evaluate(
        self,
        generated: Path,
        request: "EvaluationRequest",
        *,
        reference: Path | None = None,
        wait_s: float | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> "Report":
        """The report on a file of samples. Raises DeadlineExceeded where it takes longer than `wait_s` seconds."""
        ...

    def page(self, report: "Report") -> str:
        """An evaluation that was made here as an HTML page, with plots and samples."""
        ...


@contextmanager
def place_of(server: str | None) -> Iterator[Place]:
    """The service at this address, or this process."""
    if server is None:
        from service.local.blocking import Local

        with Local(read_settings()) as local:
            yield local
        return
    from service.client.blocking import Client

    with Client(server) as client:
        yield client
