import typing

import pytest
import torch

from service.errors import ServiceError
from service.nets.registry import build_net
from service.store import Manifest, ModelStore, TaskName
from service.tasks.registry import TASKS, task_of

DOUBLES = {"classify": "echo", "generate": "doodle"}


def example_of(verb: str, store: ModelStore) -> tuple[Manifest, list[torch.Tensor]]:
    manifest = store.get(DOUBLES[task_of(verb).serves]).manifest
    arrays = task_of(verb).example(manifest, 3)
    return manifest, [torch.zeros(shape, dtype=getattr(torch, dtype)) for shape, dtype in arrays]


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_serves_a_task_that_manifests_know(verb: str) -> None:
    assert task_of(verb).serves in typing.get_args(TaskName)


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_answers_its_own_example_row_by_row(verb: str, store: ModelStore) -> None:
    manifest, tensors = example_of(verb, store)
    assert all(len(tensor) == 3 for tensor in tensors)
    outputs = task_of(verb).forward(build_net(manifest.net).eval(), tensors, manifest)
    assert all(len(output) == 3 for output in outputs)
    assert len(outputs) >= 1


def test_a_word_that_is_no_verb_is_refused() -> None:
    with pytest.raises(ServiceError, match="'dance' is not a verb of this service"):
        task_of("dance")
