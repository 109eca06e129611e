"""The metrics by the names that requests, thresholds and reports use."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.errors import InvalidRequest
from service.metrics.coverage import Coverage
from service.metrics.density import Density
from service.metrics.fid import FID
from service.metrics.fid_infinity import FIDInfinity
from service.metrics.inception_score import InceptionScore
from service.metrics.kid import KID
from service.metrics.memorisation import Memorisation
from service.metrics.metric import Metric
from service.metrics.mmd import MMD
from service.metrics.mode_score import ModeScore
from service.metrics.one_nn import OneNN
from service.metrics.precision import Precision
from service.metrics.recall import Recall
from service.metrics.sliced_wasserstein import SlicedWasserstein
from service.metrics.wasserstein import Wasserstein
from service.spelling import meant

METRICS: dict[str, type[Metric]] = {
    "fid": FID,
    "fid_infinity": FIDInfinity,
    "inception_score": InceptionScore,
    "mode_score": ModeScore,
    "mmd": MMD,
    "kid": KID,
    "wasserstein": Wasserstein,
    "sliced_wasserstein": SlicedWasserstein,
    "one_nn": OneNN,
    "precision": Precision,
    "recall": Recall,
    "density": Density,
    "coverage": Coverage,
    "memorisation": Memorisation,
}
DEFAULT_METRICS: tuple[str, ...] = ("fid", "kid", "mmd", "one_nn", "precision", "recall", "memorisation")


def metric_type(name: str) -> type[Metric]:
    """The class of a metric. Raises InvalidRequest for a name that is not in the registry."""
    if name not in METRICS:
        raise InvalidRequest(
            f"There is no metric called {name!r}; there are {', '.join(METRICS)}.{meant(name, METRICS)}"
        )
    return METRICS[name]


def build_metric(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """The metric with these options. Raises InvalidRequest for an unknown name or option, or a value out of range."""
    kind = metric_type(name)
    try:
        return kind.model_validate(options or {})
    except ValidationError as error:
        none_such = f"there is no such option; {name} has {', '.join(kind.model_fields) or 'none'}"
        errors = [
            {
                "field": ".".join([name, *map(str, found["loc"])]),
                "message": none_such if found["type"] == "extra_forbidden" else found["msg"],
            }
            for found in error.errors()
        ]
        raise InvalidRequest("; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors) from error
