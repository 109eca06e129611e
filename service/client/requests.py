"""What programs ask for, in keywords, as the requests that the service understands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from service.batches import Array, array_of
from service.errors import InvalidRequest
from service.schemas import EvaluationRequest, ForecastRequest, GenerateRequest, Inconclusive, SampleFormat

M = TypeVar("M", bound=BaseModel)
Options: TypeAlias = Mapping[str, Mapping[str, object]]
"""Options of metrics: `{"mmd": {"sigma": 10}}`."""
Progress: TypeAlias = Callable[[float], object]
"""What is told how far work is, in shares from 0 to 1."""
Series: TypeAlias = Array | Sequence[float] | Sequence[Sequence[float]]
"""Time first, channels second; one channel may be flat."""


def untold(_share: float) -> None:
    """What is told where nobody wants to know."""


def request_of(kind: type[M], **fields: Any) -> M:
    """A request of this kind. Raises InvalidRequest, which names every field that is out of range."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        errors = [{"field": ".".join(map(str, found["loc"])), "message": found["msg"]} for found in error.errors()]
        raise InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors) from error


def generate_request(
    model: str | None,
    *,
    count: int | None,
    seed: int | None,
    format: SampleFormat | None,  # noqa: A002 - the request's own word
    interpolate: int | None,
    generator: int | None,
) -> GenerateRequest:
    """A request for samples; `interpolate` is the steps of each path. Raises InvalidRequest."""
    return request_of(
        GenerateRequest,
        model=model,
        count=count,
        seed=seed,
        format=format,
        interpolate=None if interpolate is None else {"steps": interpolate},
        generator=generator,
    )


def forecast_request(
    history: Series,
    horizon: int,
    *,
    model: str | None,
    fit: bool,
    inputs: Series | None,
    level: float,
    season: int | None,
) -> ForecastRequest:
    """A request for a forecast. Raises InvalidRequest."""
    return request_of(
        ForecastRequest,
        model=model,
        history=_table(history),
        horizon=horizon,
        fit=fit,
        inputs=None if inputs is None else _table(inputs),
        level=level,
        season=season,
    )


def evaluation_request(
    *,
    reference_name: str | None = None,
    metrics: Sequence[str] | None = None,
    options: Options | None = None,
    features: str | None = None,
    thresholds: str | None = None,
    inconclusive: Inconclusive | None = None,
    baseline: str | None = None,
    seed: int = 0,
    intervals: bool = True,
    skip_unreadable: bool = False,
) -> EvaluationRequest:
    """A request to measure samples; metrics may be named in one string, with commas. Raises InvalidRequest."""
    names = metrics.split(",") if isinstance(metrics, str) else metrics
    return request_of(
        EvaluationRequest,
        reference_name=reference_name,
        metrics=None if names is None else tuple(name.strip() for name in names if name.strip()),
        options={metric: _words(given) for metric, given in (options or {}).items()},
        features=features,
        thresholds=thresholds,
        inconclusive=inconclusive,
        baseline=baseline,
        seed=seed,
        intervals=intervals,
        skip_unreadable=skip_unreadable,
    )


def form_of(request: BaseModel) -> dict[str, str]:
    """A request as the fields of a form; what it leaves open is left out."""
    values = request.model_dump(mode="json", exclude_none=True, exclude={"metrics", "options", "name"})
    fields = {name: str(value) for name, value in values.items()}
    if isinstance(request, EvaluationRequest):
        if request.metrics is not None:
            fields["metrics"] = ",".join(request.metrics)
        for metric, options in request.options.items():
            fields |= {f"{metric}.{option}": value for option, value in options.items()}
    return fields


def _table(series: Series) -> Any:
    return series if isinstance(series, list) else array_of(series).tolist()  # type: ignore[arg-type]


def _words(options: Mapping[str, object]) -> dict[str, str]:
    """Options as a form sends them; None leaves one out."""
    return {name: str(value) for name, value in options.items() if value is not None}
