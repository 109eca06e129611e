"""What rows a model takes: what they look like for each verb, and batches of zeros by which it is tried."""

from collections.abc import Sequence
from functools import lru_cache
from operator import eq
from typing import Any

import numpy as np

from service.errors import ModelNotFound, ServiceError, WrongTask
from service.runtime.calls import Call, Lane
from service.runtime.queues import Batch, Share
from service.runtime.work import Work
from service.store import Model
from service.tasks.registry import task_of

RowSpec = tuple[tuple[int, ...], "np.dtype[Any]"]


def check_rows(work: Work, model: Model) -> None:
    """Raise ModelNotFound, WrongTask or ServiceError unless a model of this version takes these rows."""
    if work.call.version not in (None, model.version):
        raise ModelNotFound(f"{model.id} is here in version {model.version}, not {work.call.version}.")
    expected = _row_specs(model, work.call.verb)
    if len(work.arrays) == 1 and len(expected) == 1:  # as most are, and hundreds of them in a batch
        [array], [(shape, dtype)] = work.arrays, expected
        if array.shape == (work.rows, *shape) and array.dtype == dtype and work.rows:
            return
    found = [(array.shape[1:], array.dtype) for array in work.arrays]
    fits = _same_axes if task_of(work.call.verb).any_length else eq
    if not fits(found, expected) or work.rows == 0 or any(len(array) != work.rows for array in work.arrays):
        raise ServiceError(f"{model.id} expects rows of {expected}, not {work.rows} of {found}")


def goes_together(work: Work) -> bool:
    """Whether a model takes rows of several submissions at once, as many as come, and does nothing in between."""
    task = task_of(work.call.verb, work.call.options)
    return task.warmed and task.pauses == "never" and not (task.exact or task.any_length)


def _same_axes(found: Sequence[RowSpec], expected: Sequence[RowSpec]) -> bool:
    """Whether all rows have the axes and the dtype that they should, of whatever lengths."""
    return [(len(shape), dtype) for shape, dtype in found] == [(len(shape), dtype) for shape, dtype in expected]


@lru_cache(maxsize=1024)
def _row_specs(model: Model, verb: str) -> list[RowSpec]:
    """Shape and dtype of one row of each array that a verb takes. Raises WrongTask."""
    task = task_of(verb)
    if not task.serves(model.manifest):
        raise WrongTask(f"{model.id} does {model.manifest.task}, not {verb}")
    return [(shape[1:], np.dtype(dtype)) for shape, dtype in task.example(model.manifest, 1)]


def zeros(model: Model, verb: str, size: int, *, padded: bool = False) -> Batch:
    """A batch of zeros by which a verb of a model is tried."""
    task = task_of(verb)
    arrays = [np.zeros(shape, dtype) for shape, dtype in task.example(model.manifest, size)]
    work = Work(Call(model.id, verb), arrays, size, Lane.INTERACTIVE, None, "", lambda _: None)
    return Batch(work.call, [Share(work, 0, size)], size, task.exact, padded)
