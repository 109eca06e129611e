from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics.samples import (
    check_covariance,
    check_features,
    check_pair,
    checked_probabilities,
    softmax,
    take,
)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (np.zeros(5), "shape"),
        (np.zeros((5, 0)), "shape"),
        (np.zeros((5, 2), complex), "complex128"),
        (np.zeros((5, 2), bool), "bool"),
        (np.zeros((5, 2), object), "object"),
        (np.zeros((1, 2)), r"1 sample\(s\); at least 2"),
        (np.array([[0, 0], [0, np.nan]]), "Row 1 .* NaN"),
        (np.array([[0, 0], [-np.inf, 0]], np.float16), "Row 1 .* infinite"),
        (np.array([[0, 0], [0, 1e200]]), "beyond"),
    ],
)
def test_features_that_cannot_be_measured_are_refused(features: NDArray[Any], sentence: str) -> None:
    with pytest.raises(InvalidSamples, match=sentence):
        check_features(features, "generated")


def test_a_nan_behind_the_first_block_is_found() -> None:
    features = np.zeros((3000, 2), np.float32)
    features[2999, 1] = np.nan
    with pytest.raises(InvalidSamples, match="Row 2999"):
        check_features(features, "generated")


def test_sets_of_different_dimensions_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="84 dimensions, the generated ones 10"):
        check_pair(np.zeros((5, 84)), np.zeros((5, 10)))


@pytest.mark.parametrize("row", [[0.5, 0.4], [1.5, -0.5], [0.0, 0.0]])
def test_rows_that_are_no_distribution_are_refused(row: list[float]) -> None:
    with pytest.raises(InvalidSamples, match=r"Row 1 .* not a distribution"):
        checked_probabilities(np.array([[0.5, 0.5], row]), "generated")


def test_half_precision_probabilities_are_normalised_in_double() -> None:
    p = np.full((4, 3), 1 / 3, np.float16)
    np.testing.assert_allclose(checked_probabilities(p, "generated").sum(axis=1), 1, rtol=1e-15)


def test_softmax_neither_overflows_nor_loses_the_small() -> None:
    p = softmax(np.array([[1e4, 0.0], [0.0, -700.0]], np.float32), "generated")
    assert p[0, 0] == 1
    assert p[1, 1] == pytest.approx(np.exp(-700.0), rel=1e-12)


def test_rows_of_a_set_on_disk_are_taken_to_disk(tmp_path: Path) -> None:
    rows = np.memmap(tmp_path / "features", np.float32, "w+", shape=(2500, 3))
    rows[:] = np.arange(7500).reshape(2500, 3)
    chosen = np.arange(0, 2500, 2)
    taken = take(rows, chosen)
    assert isinstance(taken, np.memmap)
    np.testing.assert_array_equal(taken, np.asarray(rows)[chosen])
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_rows_of_a_set_in_memory_stay_there() -> None:
    taken = take(np.arange(6.0).reshape(3, 2), np.array([2, 0]))
    np.testing.assert_array_equal(taken, [[4, 5], [0, 1]])


def test_probabilities_may_miss_one_by_a_hundredth_and_are_divided_by_their_sum() -> None:
    found = checked_probabilities(np.array([[0.609, 0.4], [0.3, 0.691]]), "generated")
    np.testing.assert_allclose(found[0], [0.609 / 1.009, 0.4 / 1.009], rtol=1e-12)
    with pytest.raises(InvalidSamples, match=r"Row 0 .* not a distribution"):
        checked_probabilities(np.array([[0.611, 0.4]]), "generated")


def test_features_count_up_to_ten_to_the_sixtieth() -> None:
    check_features(np.array([[9e59], [-9e59]]), "generated")
    with pytest.raises(InvalidSamples, match=r"Row 1 .* beyond"):
        check_features(np.array([[0.0], [-1.1e60]]), "generated")


def test_a_covariance_may_miss_symmetry_and_a_variance_nothing_by_what_single_precision_loses() -> None:
    mean = np.zeros(2)
    check_covariance(mean, np.array([[2.0, 1.0], [1.0 + 1.9e-5, -1.9e-5]]), "uploaded")
    with pytest.raises(InvalidSamples, match="not symmetric"):
        check_covariance(mean, np.array([[2.0, 1.0], [1.0 + 2.1e-5, 1.0]]), "uploaded")
    with pytest.raises(InvalidSamples, match="negative variance"):
        check_covariance(mean, np.array([[2.0, 0.0], [0.0, -2.1e-5]]), "uploaded")
