from pathlib import Path

import numpy as np
import pytest

from service.datasets.registry import DATASETS, find_dataset
from service.datasets.split import Split
from service.errors import DatasetMissing
from service.settings import Settings


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_registered_under_its_own_name(name: str) -> None:
    assert find_dataset(name).name == name


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
