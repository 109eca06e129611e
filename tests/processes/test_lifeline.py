import gc
from collections.abc import Iterator

import pytest

from service.processes.lifeline import YOUNG, collect_rarely


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


def test_a_front_looks_for_garbage_less_often_than_python_does_and_at_what_is_old_as_before() -> None:
    often, *older = gc.get_threshold()
    collect_rarely()
    assert gc.get_threshold() == (YOUNG, *older)
    assert often < YOUNG
