import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from service.datasets.idx import read_idx, read_idx_pair
from service.errors import DatasetMissing


def write_idx(path: Path, array: np.ndarray) -> Path:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def test_an_idx_file_is_read_gzipped_or_not(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    packed = write_idx(tmp_path / "packed.gz", array)
    plain = tmp_path / "plain"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert np.array_equal(read_idx(packed), array)
    assert np.array_equal(read_idx(plain), array)


def test_images_are_grey_and_can_be_shared_with_torch(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "images", np.ones((5, 28, 28), np.uint8))
    labels = write_idx(tmp_path / "labels", np.arange(5, dtype=np.uint8))
    split = read_idx_pair(images, labels)
    assert split.images.shape == (5, 28, 28, 1)
    assert split.images.flags.writeable
    assert split.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x08",
        struct.pack(">HBBI", 0, 9, 1, 1) + b"\x01",
        struct.pack(">HBBI", 0, 8, 1, 5) + b"\x01",
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 1) + b"\x01")[:-6],
        b"\x1f\x8b but not gzip at all",
    ],
    ids=["empty", "header cut", "another kind", "too short", "gzip cut", "not gzip"],
)
def test_a_damaged_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(data)
    with pytest.raises(DatasetMissing, match=r"train-images-idx3-ubyte\.gz is damaged"):
        read_idx(path)


def test_images_and_labels_of_different_counts_are_refused(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "images", np.ones((5, 28, 28), np.uint8))
    labels = write_idx(tmp_path / "labels", np.arange(4, dtype=np.uint8))
    with pytest.raises(DatasetMissing, match="do not belong together"):
        read_idx_pair(images, labels)
