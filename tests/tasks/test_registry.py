import typing
from pathlib import Path

import pytest
import torch
from doubles import CLASSIFIER, Echo, add_forecaster, add_model

from service.errors import ServiceError
from service.nets.registry import build_net
from service.store import Manifest, ModelStore, TaskName
from service.tasks.registry import TASKS, task_of

DOUBLES = {"classify": "echo", "features": "seer", "forecast": "murmur", "generate": "doodle"}
SERVES = {"features": {"classify", "features"}}
"""The verbs of more tasks than one."""


@pytest.fixture
def manifests(store: ModelStore, models_dir: Path) -> dict[str, Manifest]:
    """A manifest of every task."""
    add_forecaster(models_dir)
    extractor = CLASSIFIER.format(net="echo").replace('"classify"', '"features"')
    add_model(models_dir, "seer", Echo(), extractor.replace("channels = 1", 'channels = 1\nresample = "bilinear"'))
    return {task: store.get(name).manifest for task, name in DOUBLES.items()}


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_serves_the_tasks_that_manifests_know(verb: str, manifests: dict[str, Manifest]) -> None:
    assert manifests.keys() == set(typing.get_args(TaskName))
    served = {task for task, manifest in manifests.items() if task_of(verb).serves(manifest)}
    assert served == SERVES.get(verb, served)
    assert len(served) == len(SERVES.get(verb, {verb}))


@pytest.mark.parametrize("verb", TASKS)
def test_every_verb_answers_its_own_example_row_by_row(verb: str, manifests: dict[str, Manifest]) -> None:
    for manifest in manifests.values():
        if not task_of(verb).serves(manifest):
            continue
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
