"""Generated samples that are reference samples are counted, told, and no generator's."""

from collections.abc import Callable

import numpy as np
import pytest

from service.evaluation.measure import choose_metrics, measure
from service.evaluation.report.schema import Copies
from service.evaluation.samples.digests import digest
from service.metrics.metric import Side
from service.metrics.samples import Rows


def digests_of(rows: Rows) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(digest(row) for row in rows), np.uint8).reshape(len(rows), -1)


def rows(count: int, seed: int) -> Rows:
    return np.random.default_rng(seed).standard_normal((count, 6))


REAL = rows(300, 1)
STORED = Side(features=REAL[:50].astype(np.float16), digests=digests_of(REAL))
"""A reference of which a sixth of the features is kept, and every digest."""


def test_a_full_copy_of_a_stored_reference_is_memorised_wholly() -> None:
    copied = Side(features=REAL, digests=digests_of(REAL))
    found = measure(copied, STORED, choose_metrics(["memorisation"]), seed=0)
    assert found.copies == Copies(exact=300, near=0)
    assert found.metrics["memorisation"].value == 1.0
    assert found.warnings[0].startswith("300 of 300 generated samples are exact copies of reference samples")


def test_some_copies_among_others_are_counted_and_weigh_as_one() -> None:
    mixed = np.concatenate([REAL[200:240], rows(60, 2)])
    plain = measure(Side(features=mixed), STORED, choose_metrics(["memorisation"]))
    found = measure(Side(features=mixed, digests=digests_of(mixed)), STORED, choose_metrics(["memorisation"]))
    assert plain.copies.exact is None
    assert found.copies.exact == 40
    assert found.metrics["memorisation"].value > max(0.4, plain.metrics["memorisation"].value)


@pytest.mark.parametrize("metrics", [["fid"], ["fid", "memorisation"]])
def test_near_copies_are_told_by_rounded_features_and_by_distances(metrics: list[str]) -> None:
    rounded = np.concatenate([REAL[:20] + 1e-9, rows(80, 3)])
    found = measure(Side(features=rounded, digests=digests_of(rounded)), STORED, choose_metrics(metrics))
    assert found.copies == Copies(exact=0, near=20)
    assert "20 of 100 generated samples are nearly copies" in " ".join(found.warnings)


def test_samples_of_another_kind_are_no_copies_and_no_error() -> None:
    found = measure(Side(features=rows(40, 4)), Side(features=REAL), choose_metrics(["fid"]))
    assert found.copies == Copies(exact=None, near=0)
    assert not [warning for warning in found.warnings if "copies" in warning]


@pytest.mark.parametrize("moved", [lambda x: x + 1e4, lambda x: x * 1e6, lambda x: 1 + x[:, :1] / 20])
def test_samples_that_half_precision_cannot_tell_apart_are_no_copies(moved: Callable[[Rows], Rows]) -> None:
    made, real = Side(features=moved(rows(400, 4))), Side(features=moved(rows(500, 5)))
    found = measure(made, real, choose_metrics(["fid"]))
    assert found.copies.near == 0


def test_copies_are_found_where_some_of_the_reference_are_copies_themselves() -> None:
    real = np.concatenate([rows(100, 1), rows(50, 1)])
    found = measure(Side(features=rows(20, 1).astype(np.float32)), Side(features=real), choose_metrics(["fid"]))
    assert found.copies.near == 20
