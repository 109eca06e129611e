import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from service.datasets import stacked
from service.datasets.mnist import MNIST
from service.datasets.registry import STACKED
from service.errors import DatasetMissing


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory whose MNIST is ten images, each as bright as its label, and stacks of 3,000 images."""
    monkeypatch.setattr(stacked, "COUNTS", {"train": 3000, "test": 50})
    folder = tmp_path / "mnist"
    folder.mkdir()
    labels = np.arange(10, dtype=np.uint8)
    images = np.broadcast_to(labels[:, None, None], (10, 28, 28)).copy()
    for file in MNIST.files:
        array = images if "images" in file.name else labels
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / file.name).write_bytes(gzip.compress(header + array.tobytes()))
    return tmp_path


def test_each_channel_is_an_image_of_its_own_and_the_label_names_all_three(data_dir: Path) -> None:
    split = STACKED["stacked-mnist"].load(data_dir, "train")
    assert split.images.shape == (3000, 28, 28, 3)
    first, second, third = split.images[:, 14, 14].astype(int).T
    assert np.array_equal(split.labels, 100 * first + 10 * second + third)
    assert len(np.unique(split.labels)) > 900
    assert STACKED["stacked-mnist"].modes == 1000


def test_a_part_is_always_the_same_and_no_other_part(data_dir: Path) -> None:
    source = STACKED["stacked-mnist"]
    assert np.array_equal(source.load(data_dir, "train").labels, source.load(data_dir, "train").labels)
    assert not np.array_equal(source.load(data_dir, "test").labels, source.load(data_dir, "train").labels[:50])


def test_what_is_missing_is_the_dataset_that_is_stacked(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="data fetch mnist"):
        STACKED["stacked-mnist"].load(tmp_path, "train")
