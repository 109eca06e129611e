"""What programs ask for, in keywords, as the requests that the service understands."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.errors import InvalidRequest
from service.schemas import EvaluationRequest

M = TypeVar("M", bound=BaseModel)
Options = Mapping[str, Mapping[str, object]]
"""Options of metrics: `{"mmd": {"sigma": 10}}`."""


def request_of(kind: type[M], **fields: Any) -> M:
    """A request of this kind. Raises InvalidRequest, which names every field that is out of range."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        errors = [{"field": ".".join(map(str, found["loc"])), "message": found["msg"]} for found in error.errors()]
        raise InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors) from error


def evaluation_request(
    *,
    reference_name: str | None = None,
    metrics: Sequence[str] | None = None,
    options: Options | None = None,
    features: str | None = None,
    thresholds: str | None = None,
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
        baseline=baseline,
        seed=seed,
        intervals=intervals,
        skip_unreadable=skip_unreadable,
    )


def _words(options: Mapping[str, object]) -> dict[str, str]:
    """Options as a form sends them; None leaves one out."""
    return {name: str(value) for name, value in options.items() if value is not None}
