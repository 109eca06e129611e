from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registering import constants_in

from service import datasets
from service.datasets.mixtures import Mixture
from service.datasets.publication import Dataset
from service.datasets.registry import DATASETS, MIXTURES, SERIES, STACKED, find_dataset
from service.datasets.series import SeriesSource
from service.datasets.split import Split
from service.datasets.stacked import Stacked
from service.errors import DatasetMissing
from service.settings import Settings

HERE = Path(__file__).parent
TABLES: dict[str, tuple[type, dict[str, Any]]] = {
    "DATASETS": (Dataset, DATASETS),
    "MIXTURES": (Mixture, MIXTURES),
    "SERIES": (SeriesSource, SERIES),
    "STACKED": (Stacked, STACKED),
}
MODULES = sorted({name.rpartition(".")[0] for kind, _ in TABLES.values() for name, _ in constants_in(datasets, kind)})


@pytest.mark.parametrize("table", TABLES)
def test_every_dataset_is_in_the_registry(table: str) -> None:
    kind, registered = TABLES[table]
    for name, found in constants_in(datasets, kind):
        assert any(found is one for one in registered.values()), (
            f"nobody can ask for {name}; import it in service/datasets/registry.py and give it a line in {table}, "
            f'"{found.name}": {name.rpartition(".")[2]},'
        )


@pytest.mark.parametrize("module", MODULES)
def test_a_dataset_has_a_test_of_its_own_truth(module: str) -> None:
    own = f"test_{module.rpartition('.')[2]}.py"
    tests = [path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name]
    assert any(path.name == own or module in path.read_text("utf-8") for path in tests), (
        f"nothing in tests/datasets tests {module}; write {own} there, which reads a small file such as its publisher's"
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_dataset_is_registered_under_its_own_name(table: str) -> None:
    for name, found in TABLES[table][1].items():
        assert found.name == name, f"{table} of service/datasets/registry.py has {found.name} under the name {name}"


def test_an_unknown_dataset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DatasetMissing, match=r"'emnist'; there are .*mnist"):
        find_dataset("emnist")


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_file_is_named_with_the_command_that_fetches_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetMissing) as caught:
        find_dataset(name).load(tmp_path, "train")
    assert str(tmp_path / name / DATASETS[name].files[0].name) in str(caught.value)
    assert f"chapterhouse data fetch {name}" in str(caught.value)


@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("test", 10_000)])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_published_files_hold_what_was_published(name: str, part: str, count: int) -> None:
    try:
        split = find_dataset(name).load(Settings().data, "train" if part == "train" else "test")
    except DatasetMissing as missing:
        pytest.skip(str(missing))
    assert split.images.shape == (count, 28, 28, 1)
    assert np.bincount(split.labels).shape == (10,)


def test_images_are_held_out_from_the_end() -> None:
    split = Split(np.zeros((5, 2, 2, 1), np.uint8), np.arange(5, dtype=np.uint8))
    trained, held_out = split.divide(2)
    assert trained.labels.tolist() == [0, 1, 2]
    assert held_out.labels.tolist() == [3, 4]
    assert len(held_out.images) == len(held_out) == 2
    assert len(split.divide(0)[0]) == 5
