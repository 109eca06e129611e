"""The metrics by the names that requests, thresholds and reports use."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.errors import InvalidRequest
from service.metrics.fid import FID
from service.metrics.inception_score import InceptionScore
from service.metrics.metric import Metric
from service.metrics.mmd import MMD

METRICS: dict[str, type[Metric]] = {
    "fid": FID,
    "inception_score": InceptionScore,
    "mmd": MMD,
}
DEFAULT_METRICS: tuple[str, ...] = ("fid", "mmd")


def metric_type(name: str) -> type[Metric]:
    """The class of a metric. Raises InvalidRequest for a name that is not in the registry."""
    if name not in METRICS:
        raise InvalidRequest(f"There is no metric called {name!r}; there are {', '.join(METRICS)}.")
    return METRICS[name]


def build_metric(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """The metric with these options. Raises InvalidRequest for an unknown name or option, or a value out of range."""
    kind = metric_type(name)
    try:
        return kind.model_validate(options or {})
    except ValidationError as error:
        errors = [
            {"field": ".".join([name, *map(str, found["loc"])]), "message": found["msg"]} for found in error.errors()
        ]
        raise InvalidRequest(f"The options of {name} are not valid.", errors=errors) from error
