"""The verbs of the service: the word of a call and what it does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from service.errors import ServiceError
from service.store import Manifest
from service.tasks.classify import Classify
from service.tasks.explain import Explain
from service.tasks.features import AT_ANY_SIZE, Features, FeaturesAtAnySize
from service.tasks.forecast import Continue, Fit, Forecast
from service.tasks.generate import Generate
from service.tasks.pauses import Pauses

if TYPE_CHECKING:
    from torch import Tensor, nn


class Task(Protocol):
    """One verb: which models it asks, how its batches form and what it does with one."""

    exact: bool
    """Whether rows are forwarded in fixed blocks that are never shared, so that a result never depends on load."""

    any_length: bool
    """Whether rows of a call may be longer or shorter than the example's, the same number of axes given."""

    warmed: bool
    """Whether a model counts as loaded only once it has answered this verb in every size that it will meet."""

    @property
    def pauses(self) -> Pauses:
        """Where its forward lets short work go first, if it is long."""
        ...

    @property
    def price(self) -> int:
        """So many rows of a queue's limit one row of it counts for."""
        ...

    def serves(self, manifest: Manifest) -> bool:
        """Whether this model can be asked."""
        ...

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """A batch of tensors to a batch of tensors, the items along axis 0 of each."""
        ...

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array of a call of so many rows; what does not fit is refused."""
        ...


TASKS: dict[str, Task] = {
    "classify": Classify(),
    "continue": Continue(),
    "explain": Explain(),
    "features": Features(),
    AT_ANY_SIZE: FeaturesAtAnySize(),
    "fit": Fit(),
    "forecast": Forecast(),
    "generate": Generate(),
}


def task_of(verb: str, options: Sequence[tuple[str, object]] = ()) -> Task:
    """The task of a verb, its fields set to a call's options. Raises ServiceError for a word that is neither."""
    if verb not in TASKS:
        raise ServiceError(f"{verb!r} is not a verb of this service.")
    task = TASKS[verb]
    if not options:
        return task
    try:
        return replace(task, **dict(options))  # type: ignore[type-var] # or refuse, where it has no fields
    except TypeError as error:
        raise ServiceError(f"{verb} has no such options as {dict(options)}.") from error
