import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics import distances as module
from service.metrics.distances import distances, distinct, exact_squares

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("step", [1e-7, 1e-5, 1e-3])
def test_distances_keep_their_digits_where_they_are_small(step: float) -> None:
    x = rows(20, 8, 1) + 1000
    y = x + step * rows(20, 8, 2)
    expected = np.sqrt(np.square(x[:, None] - y[None]).sum(axis=2))
    np.testing.assert_allclose(distances(x, y), expected, rtol=1e-9)


def test_copies_lie_at_distance_zero() -> None:
    x = np.repeat(rows(3, 8, 1), 4, axis=0).astype(np.float32)
    found = distances(x, x)
    np.testing.assert_array_equal(found == 0, np.repeat(np.repeat(np.eye(3, dtype=bool), 4, 0), 4, 1))


def test_distinct_rows_stand_in_their_first_order_with_their_counts() -> None:
    found = distinct(np.array([[1.0, 0.0], [2.0, 0.0], [1.0, -0.0], [3.0, 0.0], [2.0, 0.0]]))
    np.testing.assert_array_equal(found.rows, [[1, 0], [2, 0], [3, 0]])
    np.testing.assert_array_equal(found.counts, [2, 2, 1])
    np.testing.assert_array_equal(found.of_sample, [0, 1, 0, 2, 1])
    assert found.total == 5


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_rows_of_any_kind_are_found_to_be_distinct_or_not(kind: type[np.generic]) -> None:
    every = np.random.default_rng(0).integers(100, size=(200, 5)).astype(kind)
    assert len(distinct(every).rows) == len(np.unique(every, axis=0)) == 200
    again = np.concatenate([every, every[150:151]])
    assert distinct(again).counts[150] == 2
    assert distinct(again).of_sample[-1] == 150


def test_exact_squares_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(40, 3, 1), rows(30, 3, 2)
    i, j = (index.ravel() for index in np.indices((40, 30)))
    whole = exact_squares(x, y, i, j)
    monkeypatch.setattr(module, "PAIR_NUMBERS", 10)
    np.testing.assert_array_equal(exact_squares(x, y, i, j), whole)
    np.testing.assert_array_equal(exact_squares(y, x, j, i), whole)
