import typing
from pathlib import Path

import pytest
import torch
from doubles import add_forecaster

from service.errors import ServiceError
from service.nets.registry import build_net
from service.store import Manifest, ModelStore, TaskName
from service.tasks.registry import TASKS, task_of

DOUBLES = {"classify": "echo", "forecast": "murmur", "generate": "doodle"}


@pytest.fixture
def manifests(store: ModelStore, models_dir: Path) -> dict[str, Manifest]:
    """A manifest of every task."""
    add_forecaster(models_dir)
    return {task: store.get(name).manifest for task, name in DOUBLES.items()}


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_serves_one_task_that_manifests_know(verb: str, manifests: dict[str, Manifest]) -> None:
    assert manifests.keys() == set(typing.get_args(TaskName))
    assert sum(task_of(verb).serves(manifest) for manifest in manifests.values()) == 1


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_answers_its_own_example_row_by_row(verb: str, manifests: dict[str, Manifest]) -> None:
    [manifest] = [manifest for manifest in manifests.values() if task_of(verb).serves(manifest)]
    rows = min(3, manifest.serving.block)
    arrays = task_of(verb).example(manifest, rows)
    tensors = [torch.zeros(shape, dtype=getattr(torch, dtype)) for shape, dtype in arrays]
    assert all(len(tensor) == rows for tensor in tensors)
    outputs = task_of(verb).forward(build_net(manifest.net, manifest.options).eval(), tensors, manifest)
    assert all(len(output) == rows for output in outputs)
    assert len(outputs) >= 1


def test_a_word_that_is_no_verb_is_refused() -> None:
    with pytest.raises(ServiceError, match="'dance' is not a verb of this service"):
        task_of("dance")
