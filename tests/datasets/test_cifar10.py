import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.datasets.cifar10 import ARCHIVE, CIFAR10
from service.datasets.publication import Part
from service.errors import DatasetMissing
from service.settings import Settings

CALLED: list[str] = []


class Trap:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> Any:
        return CALLED.append, ("the trap",)


def write_batches(folder: Path, batches: dict[str, object], protocol: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        for name, batch in batches.items():
            data = batch if isinstance(batch, bytes) else pickle.dumps(batch, protocol=protocol)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def batch_of(rows: np.ndarray, labels: list[int]) -> dict[bytes, object]:
    return {b"data": rows, b"labels": labels, b"filenames": [b"a.png"] * len(labels)}


@pytest.mark.parametrize("protocol", [3, 4])
def test_planes_of_colours_become_pixels(tmp_path: Path, protocol: int) -> None:
    rows = np.arange(2 * 3072, dtype=np.int64).astype(np.uint8).reshape(2, 3072)
    batches = {f"data_batch_{number}": batch_of(rows, [number, 0]) for number in range(1, 6)}
    write_batches(tmp_path / "cifar-10", {**batches, "test_batch": batch_of(rows[:1], [7])}, protocol)
    split = CIFAR10.load(tmp_path, "train")
    assert split.images.shape == (10, 32, 32, 3)
    assert split.images.flags.writeable
    assert split.labels.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert split.images[1, 2, 5].tolist() == [rows[1, plane * 1024 + 2 * 32 + 5] for plane in range(3)]
    assert CIFAR10.load(tmp_path, "test").labels.tolist() == [7]


def test_the_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    # as cPickle wrote them: strings are bytes, numpy's names those of 2009
    pieces = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03",
        b"cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R(K\x01K\x01M\x00\x0c\x86",
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        b"T\x00\x0c\x00\x00",
        b"\x05" * 3072,
        b"tbU\x06labels]K\x03au.",
    )
    write_batches(tmp_path / "cifar-10", {"test_batch": b"".join(pieces)})
    split = CIFAR10.load(tmp_path, "test")
    assert (split.images == 5).all()
    assert split.labels.tolist() == [3]


def test_nothing_in_a_pickle_is_called(tmp_path: Path) -> None:
    write_batches(tmp_path / "cifar-10", {"test_batch": {b"data": Trap(), b"labels": []}})
    with pytest.raises(DatasetMissing, match=r"is damaged \(it names .*has no place in CIFAR-10"):
        CIFAR10.load(tmp_path, "test")
    assert CALLED == []


PIXELS = np.zeros((1, 3072), np.uint8)


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2, 3],
        batch_of(PIXELS.astype(np.int32), [0]),
        batch_of(np.asfortranarray(np.zeros((2, 3072), np.uint8)), [0, 1]),
        batch_of(PIXELS, [10]),
        batch_of(PIXELS, [0, 1]),
        {b"data": PIXELS},
        {b"data": [0] * 3072, b"labels": [0]},
        b"\x80\x02}",
        b"",
    ],
    ids=["a list", "other numbers", "columns", "class", "count", "no labels", "a list of pixels", "cut", "empty"],
)
def test_what_is_no_batch_is_refused(tmp_path: Path, batch: object) -> None:
    write_batches(tmp_path / "cifar-10", {"test_batch": batch})
    with pytest.raises(DatasetMissing, match=r"cifar-10-python\.tar\.gz is damaged"):
        CIFAR10.load(tmp_path, "test")


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no archive", mtime=0)])
def test_a_damaged_archive_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / ARCHIVE).write_bytes(data)
    with pytest.raises(DatasetMissing, match=r"cifar-10-python\.tar\.gz is damaged"):
        CIFAR10.load(tmp_path, "train")


@pytest.mark.parametrize(("part", "count"), [("train", 50_000), ("test", 10_000)])
def test_the_published_files_hold_what_was_published(part: Part, count: int) -> None:
    try:
        split = CIFAR10.load(Settings().data, part)
    except DatasetMissing as missing:
        pytest.skip(str(missing))
    assert split.images.shape == (count, 32, 32, 3)
    assert np.bincount(split.labels).tolist() == [count // 10] * 10
