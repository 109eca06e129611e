from typing import TYPE_CHECKING

import pytest

from service.datasets.registry import find_dataset
from service.errors import ConfigurationError, ServiceError
from service.metrics.registry import metric_type
from service.settings import Settings
from service.spelling import LONGEST, meant
from service.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_nearest_name_is_asked_for() -> None:
    assert meant("lenet5-mnits", ["lenet5-fashion", "lenet5-mnist"]) == " Did you mean 'lenet5-mnist'?"


@pytest.mark.parametrize("name", ["", "nobody", "x" * (LONGEST + 1), "\udcff"])
def test_where_nothing_is_near_nothing_is_asked(name: str) -> None:
    assert meant(name, ["lenet5-mnist", "x" * (LONGEST + 2)]) == ""


@pytest.mark.parametrize("given", ["models", "metrics", "datasets"])
def test_who_names_what_is_not_there_is_told_what_is_near(given: str) -> None:
    store = ModelStore(Settings().shipped_models_dir)
    look_ups: dict[str, tuple[Callable[[str], object], str, str]] = {
        "models": (store.get, "gan_mnist", "gan-mnist"),
        "metrics": (metric_type, "fdi", "fid"),
        "datasets": (find_dataset, "minst", "mnist"),
    }
    look_up, name, near = look_ups[given]
    with pytest.raises((ConfigurationError, ServiceError), match=rf"Did you mean '{near}'\?$"):
        look_up(name)
