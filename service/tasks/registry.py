"""The verbs of the service: the word of a call and what it does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from service.errors import ServiceError
from service.store import Manifest
from service.tasks.classify import Classify
from service.tasks.features import Features
from service.tasks.generate import Generate

if TYPE_CHECKING:
    from torch import Tensor, nn


class Task(Protocol):
    """One verb: which models it asks, how its batches form and what it does with one."""

    serves: str
    """The manifest's task that a model must have to be asked."""

    exact: bool
    """Whether rows are forwarded in fixed blocks that are never shared, so that a result never depends on load."""

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """A batch of tensors to a batch of tensors, the items along axis 0 of each."""
        ...

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array of a call of so many rows; what does not fit is refused."""
        ...


TASKS: dict[str, Task] = {
    "classify": Classify(),
    "features": Features(),
    "generate": Generate(),
}


def task_of(verb: str) -> Task:
    """The task of a verb. Raises ServiceError for a word that is none."""
    try:
        return TASKS[verb]
    except KeyError:
        raise ServiceError(f"{verb!r} is not a verb of this service.") from None
