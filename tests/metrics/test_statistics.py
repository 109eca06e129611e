import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidSamples
from service.metrics.samples import BLOCK_ROWS
from service.metrics.statistics import Moments, Statistics, statistics_of


def rows(n: int, d: int = 5, seed: int = 0, offset: float = 0.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    mixing = np.random.default_rng(99).standard_normal((d, d))
    return np.random.default_rng(seed).standard_normal((n, d)) @ mixing + offset


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("n", [2, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 7])
def test_moments_are_those_of_numpy(n: int, offset: float) -> None:
    x = rows(n, offset=offset)
    found = statistics_of(x)
    assert found.count == n
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-11)


def test_an_offset_costs_no_digits() -> None:
    # multiples of 2⁻¹⁰, so that adding the offset rounds nothing
    x = np.round(rows(3000) * 1024) / 1024
    near, far = statistics_of(x), statistics_of(x + 2.0**20)
    np.testing.assert_allclose(far.covariance, near.covariance, rtol=1e-10, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 2500), max_size=12))
def test_the_size_of_updates_changes_no_bit(cuts: list[int]) -> None:
    x = rows(2500)
    whole = statistics_of(x)
    moments = Moments(5)
    for part in np.split(x, sorted(cuts)):
        moments.update(part)
    pieces = moments.compute()
    assert pieces.count == whole.count
    np.testing.assert_array_equal(pieces.mean, whole.mean)
    np.testing.assert_array_equal(pieces.covariance, whole.covariance)


@settings(max_examples=25, deadline=None)
@given(sizes=st.tuples(st.integers(0, 1500), st.integers(0, 1500), st.integers(2, 1500)))
def test_merging_is_associative_and_equals_one_stream(sizes: tuple[int, int, int]) -> None:
    x = rows(sum(sizes))
    parts = np.split(x, np.cumsum(sizes)[:2])
    left = Moments(5).update(parts[0]).merge(Moments(5).update(parts[1])).merge(Moments(5).update(parts[2]))
    right = Moments(5).update(parts[0]).merge(Moments(5).update(parts[1]).merge(Moments(5).update(parts[2])))
    for found in (left.compute(), right.compute()):
        np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.covariance, np.cov(x, rowvar=False), rtol=1e-10, atol=1e-12)


def test_merging_leaves_the_other_stream_as_it_was() -> None:
    other = Moments(5).update(rows(10))
    before = other.compute()
    Moments(5).update(rows(3, seed=1)).merge(other)
    np.testing.assert_array_equal(other.compute().covariance, before.covariance)


def test_a_result_does_not_change_when_the_stream_goes_on() -> None:
    moments = Moments(5).update(rows(BLOCK_ROWS))
    before = moments.compute()
    kept = before.covariance.copy()
    moments.update(rows(BLOCK_ROWS, seed=1))
    np.testing.assert_array_equal(before.covariance, kept)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(InvalidSamples, match="at least 2"):
        Moments(3).update(np.zeros((1, 3))).compute()


def test_rows_of_another_dimension_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="must be equal"):
        Moments(3).update(np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("mean", "covariance", "sentence"),
    [
        (np.zeros(2), np.eye(3), "shapes"),
        (np.zeros((2, 1)), np.eye(2), "shapes"),
        (np.zeros(0), np.zeros((0, 0)), "shapes"),
        (np.array([0, np.nan]), np.eye(2), "NaN"),
        (np.zeros(2), np.array([[1, np.inf], [np.inf, 1]]), "infinite"),
        (np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (np.zeros(2), np.diag([1.0, -1.0]), "negative variance"),
    ],
)
def test_statistics_that_are_none_are_refused(
    mean: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    covariance: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    sentence: str,
) -> None:
    with pytest.raises(InvalidSamples, match=sentence):
        Statistics.given(mean, covariance, "uploaded")


def test_statistics_of_others_keep_their_count_and_are_made_symmetric() -> None:
    found = Statistics.given(np.array([1, 2]), np.array([[2.0, 1.0], [1.0 + 1e-6, 3.0]]), "uploaded", count=7)
    assert found.count == 7
    assert found.mean.tolist() == [1, 2]
    np.testing.assert_allclose(found.covariance, [[2, 1 + 5e-7], [1 + 5e-7, 3]], rtol=1e-15)
