"""Chapterhouse for programs: a client of the service, the same without a server, evaluations, and metrics of arrays.

Each name is looked up where it is first used, so that importing this package loads next to nothing, and never torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from service import __version__

if TYPE_CHECKING:
    from service import errors as errors
    from service.client.asynchronous import AsyncClient as AsyncClient
    from service.client.blocking import Client as Client
    from service.client.results import Drawn as Drawn
    from service.client.results import Explained as Explained
    from service.client.results import ExplainedArrays as ExplainedArrays
    from service.client.results import Generated as Generated
    from service.evaluation.report.schema import Report as Report
    from service.explanations import UnitsReply as UnitsReply
    from service.local.asynchronous import AsyncLocal as AsyncLocal
    from service.local.blocking import Local as Local
    from service.local.evaluation import Evaluation as Evaluation
    from service.metrics.functions import coverage as coverage
    from service.metrics.functions import density as density
    from service.metrics.functions import fid as fid
    from service.metrics.functions import fid_infinity as fid_infinity
    from service.metrics.functions import inception_score as inception_score
    from service.metrics.functions import kid as kid
    from service.metrics.functions import memorisation as memorisation
    from service.metrics.functions import mmd as mmd
    from service.metrics.functions import mode_score as mode_score
    from service.metrics.functions import one_nn as one_nn
    from service.metrics.functions import precision as precision
    from service.metrics.functions import recall as recall
    from service.metrics.functions import sliced_wasserstein as sliced_wasserstein
    from service.metrics.functions import wasserstein as wasserstein
    from service.metrics.metric import Score as Score
    from service.schemas import Classification as Classification
    from service.schemas import EvaluationState as EvaluationState
    from service.schemas import ForecastReply as ForecastReply
    from service.schemas import ModelDetail as ModelDetail
    from service.schemas import ModelSummary as ModelSummary
    from service.schemas import ReferenceSummary as ReferenceSummary
    from service.settings import Settings as Settings

NAMES = {
    "service": ("errors",),
    "service.client.asynchronous": ("AsyncClient",),
    "service.client.blocking": ("Client",),
    "service.client.results": ("Drawn", "Explained", "ExplainedArrays", "Generated"),
    "service.evaluation.report.schema": ("Report",),
    "service.explanations": ("UnitsReply",),
    "service.local.asynchronous": ("AsyncLocal",),
    "service.local.blocking": ("Local",),
    "service.local.evaluation": ("Evaluation",),
    "service.metrics.functions": (
        "coverage",
        "density",
        "fid",
        "fid_infinity",
        "inception_score",
        "kid",
        "memorisation",
        "mmd",
        "mode_score",
        "one_nn",
        "precision",
        "recall",
        "sliced_wasserstein",
        "wasserstein",
    ),
    "service.metrics.metric": ("Score",),
    "service.schemas": (
        "Classification",
        "EvaluationState",
        "ForecastReply",
        "ModelDetail",
        "ModelSummary",
        "ReferenceSummary",
    ),
    "service.settings": ("Settings",),
}
"""The public names by the module that each comes from."""
_HOMES = {name: module for module, names in NAMES.items() for name in names}

__all__ = ["__version__", *_HOMES]


if not TYPE_CHECKING:  # to a type checker every name would be one of ours

    def __getattr__(name: str) -> object:
        """A public name, from where it lives; from the second time on it is found here."""
        if name not in _HOMES:
            raise AttributeError(f"module 'chapterhouse' has no attribute {name!r}")
        home = _HOMES[name]
        found = import_module(f"service.{name}") if home == "service" else getattr(import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
