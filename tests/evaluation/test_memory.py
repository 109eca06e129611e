"""What an evaluation holds in memory does not grow with its samples: they, and what is noted of each, lie in files."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from service.evaluation.measure import choose_metrics, measure
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.digests import digest
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.spool import ImageShape
from service.metrics.metric import Side

FEW, MANY = 4_000, 12_000
MOST_BYTES = 8
"""Of each sample more: some flags and a small number, but no digest, no place in an order and no entry of a list."""


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held(work: Callable[[], object]) -> int:
    """The most that is held at a time while the work lasts, beside what was held before it."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    work()
    _, most = tracemalloc.get_traced_memory()
    return most - before


def for_each_more(work_on: Callable[[int], Callable[[], object]]) -> float:
    """By how many bytes that grows with each sample. What is made once and kept is made before."""
    work_on(100)()
    few, many = (held(work_on(count)) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def test_images_are_read_and_ordered_in_the_same_memory_however_many_they_are(tmp_path: Path) -> None:
    def reading(count: int) -> Callable[[], object]:
        folder, file = tmp_path / str(count), tmp_path / f"{count}.npy"
        folder.mkdir()
        np.save(file, np.random.default_rng(count).integers(0, 256, (count, 2, 1, 1), np.uint8))

        def read() -> None:
            limits = Limits(1 << 30, 1 << 10)
            samples = open_samples(file, working_dir=folder, shape=ImageShape((2, 1), 1), limits=limits)
            assert (samples.count, samples.order_sha256 is None) == (count, False)

        return read

    assert for_each_more(reading) < MOST_BYTES


def test_features_are_measured_in_the_same_memory_however_many_they_are(tmp_path: Path) -> None:
    def measuring(count: int) -> Callable[[], object]:
        features = np.memmap(tmp_path / f"{count}.features", np.float32, "w+", shape=(count, 8))
        features[:] = np.random.default_rng(count).standard_normal(features.shape)
        digests = np.memmap(tmp_path / f"{count}.digests", np.uint8, "w+", shape=(count, 16))
        for row, feature in zip(digests, features, strict=True):
            row[:] = np.frombuffer(digest(feature), np.uint8)
        reference = Side(features[:50].astype(np.float16), digests=digests[:50])

        def measured() -> None:
            found = measure(Side(features, digests=digests), reference, choose_metrics(["fid"]), intervals=False)
            assert found.copies.exact == 50

        return measured

    assert for_each_more(measuring) < MOST_BYTES
