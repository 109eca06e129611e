"""A client of a running service, for programs and the command line: plain calls, the service's own errors, no torch.

with Client("http://127.0.0.1:8000") as client:
    report = client.evaluate(Path("samples.zip"), EvaluationRequest(reference_name="mnist-test"))
    print(report.metrics["fid"].value)
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.errors import (
    DeadlineExceeded,
    Draining,
    InvalidRequest,
    NotReady,
    ServiceError,
    ServiceUnreachable,
    error_types,
)
from service.evaluation.report.schema import Report
from service.schemas import (
    Classification,
    EvaluationRequest,
    EvaluationState,
    ForecastReply,
    ForecastRequest,
    GenerateRequest,
    ModelDetail,
    ModelList,
    ModelSummary,
)

M = TypeVar("M", bound=BaseModel)
Image = Path | bytes
Source = Path | BinaryIO

CONNECT_S = 10.0
SILENCE_S = 120.0
"""A reply that stays away this long will not come."""
FIRST_WAIT_S = 2
"""How long the upload's own request waits for the report; after that its progress is asked for."""
POLL_S = 0.5
RESTART_S = 30.0
"""An accepted evaluation survives a restart of the service, and so does waiting for it."""
FORM_IMAGES = 256
FORM_BYTES = 8 << 20
"""Images of one request: fewer than may wait for a model, smaller than a body may be."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
KINDS = {kind.title: kind for kind in error_types().values() if "title" in vars(kind)}
"""What a problem's title says went wrong; an error without a title of its own crosses as its parent."""


class Generated(BaseModel, frozen=True):
    """What samples were drawn with; enough to draw them again."""

    model: str
    version: str
    seed: int
    count: int


class Output(Protocol):
    """Where generated samples go."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...


class Client:
    """One service at `base_url`. Raises the service's own errors, ServiceUnreachable where nobody answers."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._address = base_url
        try:
            self._http = httpx.Client(
                base_url=base_url,
                transport=transport,
                mounts={f"all://{host}": None for host in LOOPBACK},  # a proxy knows nothing of this machine's ports
                timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachable(f"{base_url!r} is no address: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether every wanted model is warm and the service is not shutting down."""
        try:
            self._ask(self._http.build_request("GET", "/health/ready"))
        except (NotReady, Draining):
            return False
        return True

    def models(self) -> list[ModelSummary]:
        """The models of the service's store."""
        return _read(ModelList, self._ask(self._http.build_request("GET", "/models"))).models

    def model(self, model_id: str) -> ModelDetail:
        """One model with its card. Raises ModelNotFound."""
        return _read(ModelDetail, self._ask(self._http.build_request("GET", f"/models/{quote(model_id, safe='')}")))

    def classify(self, images: Sequence[Image], *, model: str | None = None, top_k: int = 5) -> Classification:
        """The `top_k` likeliest labels of images (paths, or the bytes of image files), in as many requests as it takes.

        An image that cannot be read has an `error` in its place. Raises InvalidRequest, ModelNotFound, WrongTask.
        """
        if not images:
            raise InvalidRequest("There is no image to classify.")
        params = {"top_k": str(top_k)} | ({} if model is None else {"model": model})
        answers = []
        for form in _forms(images):
            files = [("image", ("image", data, "application/octet-stream")) for data in form]
            request = self._http.build_request("POST", "/classify", params=params, files=files)
            answers.append(_read(Classification, self._ask(request)))
        found = [prediction for answer in answers for prediction in answer.predictions]
        named = tuple(
            prediction.model_copy(update={"name": str(image) if isinstance(image, Path) else None})
            for image, prediction in zip(images, found, strict=True)
        )
        return answers[-1].model_copy(update={"predictions": named})

    def forecast(self, request: ForecastRequest) -> ForecastReply:
        """How a series goes on. Raises InvalidRequest, InvalidSeries, ModelNotFound, WrongTask."""
        asked = self._http.build_request("POST", "/forecast", json=request.model_dump(exclude_none=True))
        return _read(ForecastReply, self._ask(asked))

    def generate(self, request: GenerateRequest, output: Output) -> Generated:
        """Draw samples into an open file, as they come. Raises InvalidRequest, ModelNotFound, WrongTask."""
        asked = self._http.build_request("POST", "/generate", json=request.model_dump(exclude_none=True))
        with self._streamed(asked) as reply:
            for piece in reply.iter_bytes():
                output.write(piece)
        told = {"model": "x-model", "version": "x-model-version", "seed": "x-seed", "count": "x-count"}
        return _checked(Generated, {name: reply.headers.get(header) for name, header in told.items()})

    def evaluate(
        self,
        generated: Source,
        request: EvaluationRequest,
        *,
        reference: Source | None = None,
        wait_s: float | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Report:
        """The report on a file of generated samples, compared with the file `reference` or the request's stored one.

        `on_progress` is told shares from 0 to 1. Raises the error that ended the evaluation, and DeadlineExceeded
        where it is not over after `wait_s` seconds; it goes on then.
        """
        until = None if wait_s is None else time.monotonic() + wait_s
        with ExitStack() as opened:
            sources = {"generated": generated} | ({} if reference is None else {"reference": reference})
            files = {
                name: (name, opened.enter_context(_opened(source)), "application/octet-stream")
                for name, source in sources.items()
            }
            wait = FIRST_WAIT_S if wait_s is None else min(FIRST_WAIT_S, int(wait_s))
            reply = self._ask(
                self._http.build_request(
                    "POST", "/evaluate", data=_fields(request), files=files, headers={"Prefer": f"wait={wait}"}
                )
            )
        if reply.status_code == HTTPStatus.OK:
            return _read(Report, reply)
        return self._until_over(_read(EvaluationState, reply).id, until, on_progress)

    def evaluation(self, evaluation_id: str) -> Report | EvaluationState:
        """The report of a finished evaluation; how far any other is, or why it failed. Raises EvaluationNotFound."""
        document = self._document(self._http.build_request("GET", f"/evaluations/{quote(evaluation_id, safe='')}"))
        finished = document.get("status") == "finished" and document.get("kind", "evaluation") == "evaluation"
        return _checked(Report, document) if finished else _checked(EvaluationState, document)

    def page(self, report: Report) -> str:
        """The report as an HTML page, with plots and samples. Raises EvaluationNotFound."""
        address = f"/evaluations/{quote(report.id, safe='')}"
        return self._ask(self._http.build_request("GET", address, headers={"accept": "text/html"})).text

    def _until_over(self, evaluation_id: str, until: float | None, on_progress: Callable[[float], None]) -> Report:
        heard = time.monotonic()
        while True:
            try:
                found = self.evaluation(evaluation_id)
            except ServiceUnreachable:
                if time.monotonic() - heard > RESTART_S:
                    raise
            else:
                heard = time.monotonic()
                if isinstance(found, Report):
                    return found
                _raise_failure(found)
                on_progress(found.progress)
            if until is not None and time.monotonic() >= until:
                raise DeadlineExceeded(
                    f"The evaluation {evaluation_id} is not over. It goes on: GET {self._address}/evaluations/"
                    f"{evaluation_id} answers with its report."
                )
            time.sleep(POLL_S)

    def _document(self, request: httpx.Request) -> dict[str, Any]:
        reply = self._ask(request)
        try:
            document: dict[str, Any] = dict(reply.json())
        except (ValueError, TypeError) as error:
            raise _illegible(reply) from error
        return document

    def _ask(self, request: httpx.Request) -> httpx.Response:
        """The whole reply to a request. Raises ServiceUnreachable, and what the service answered instead."""
        with self._streamed(request) as reply:
            reply.read()
        return reply

    @contextmanager
    def _streamed(self, request: httpx.Request) -> Iterator[httpx.Response]:
        try:
            reply = self._http.send(request, stream=True)
            try:
                if not reply.is_success:
                    reply.read()
                    raise _error_of(reply)
                yield reply
            finally:
                reply.close()
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise ServiceUnreachable(f"{self._address} cannot be reached: {error}.") from error
        except httpx.TimeoutException as error:
            raise ServiceUnreachable(f"{self._address} does not answer.") from error
        except httpx.RequestError as error:
            raise ServiceUnreachable(f"{self._address} broke off: {error}.") from error


def error_from(problem: Mapping[str, Any]) -> ServiceError:
    """The error that a problem document tells: of the service's own kind where its title is one of theirs."""
    title, detail = str(problem.get("title") or ""), str(problem.get("detail") or "")
    if title in KINDS:
        return KINDS[title](detail, errors=problem.get("errors"))
    error = ServiceError(f"{title}: {detail}" if title and detail else title or detail)
    with suppress(ValueError):
        error.status = HTTPStatus(problem.get("status", error.status))
    return error


def _error_of(reply: httpx.Response) -> ServiceError:
    """What a reply says went wrong, also where something before the service wrote it."""
    said = f"{reply.request.url} answered {reply.status_code} {reply.reason_phrase}"
    try:
        problem = dict(reply.json())
    except (ValueError, TypeError):
        problem = {"title": said, "status": reply.status_code}
    error = error_from(problem)
    retry_after = reply.headers.get("retry-after", "")
    error.retry_after_s = int(retry_after) if retry_after.isdigit() else None
    return error


def _raise_failure(state: EvaluationState) -> None:
    if state.problem is not None:
        raise error_from(state.problem)
    if state.status == "cancelled":
        raise ServiceError(f"The evaluation {state.id} was cancelled.")


def _forms(images: Iterable[Image]) -> Iterator[list[bytes]]:
    """The bytes of images in groups that fit into one request."""
    form: list[bytes] = []
    for image in images:
        data = image.read_bytes() if isinstance(image, Path) else image
        if form and (len(form) == FORM_IMAGES or sum(map(len, form)) + len(data) > FORM_BYTES):
            yield form
            form = []
        form.append(data)
    yield form


def _fields(request: EvaluationRequest) -> dict[str, str]:
    """A request as the fields of a form."""
    values = request.model_dump(mode="json", exclude_none=True, exclude={"metrics", "options"})
    fields = {name: str(value) for name, value in values.items()}
    if request.metrics is not None:
        fields["metrics"] = ",".join(request.metrics)
    for metric, options in request.options.items():
        fields |= {f"{metric}.{option}": value for option, value in options.items()}
    return fields


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    return source.open("rb") if isinstance(source, Path) else nullcontext(source)


def _read(kind: type[M], reply: httpx.Response) -> M:
    try:
        return kind.model_validate_json(reply.content)
    except ValidationError as error:
        raise _illegible(reply) from error


def _checked(kind: type[M], document: Mapping[str, Any]) -> M:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise ServiceError(f"The service answered what this client cannot read: {error}") from error


def _illegible(reply: httpx.Response) -> ServiceError:
    return ServiceError(f"{reply.request.url} answered what this client cannot read; is it a Chapterhouse?")
