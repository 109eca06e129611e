from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics import distances, mmd
from service.metrics.kernels import Polynomial
from service.metrics.metric import Side
from service.metrics.mmd import MMD, median_distance, mmd2, root_mean_square_distance
from service.metrics.uncertainty import Interval

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def kernel(a: Real, b: Real, sigma: float) -> Real:
    squares = np.square(a[:, None] - b[None]).sum(axis=2)
    values: Real = np.exp(-squares / (2 * sigma**2))
    return values


def truth(x: Real, y: Real, sigma: float, *, unbiased: bool) -> float:
    def within(z: Real) -> float:
        k = kernel(z, z, sigma)
        return float((k.sum() - len(z)) / (len(z) * (len(z) - 1)) if unbiased else k.mean())

    return within(x) + within(y) - 2 * float(kernel(x, y, sigma).mean())


@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_is_its_definition(unbiased: bool) -> None:  # noqa: FBT001
    x, y = rows(30, 4, 1), rows(25, 4, 2, 1.5)
    assert mmd2(x, y, sigma=2.0, unbiased=unbiased) == pytest.approx(truth(x, y, 2.0, unbiased=unbiased), rel=1e-12)


def test_tiles_of_any_size_give_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(50, 4, 1), rows(41, 4, 2, 1.5)
    value, sigma = mmd2(x, y, sigma=2.0), median_distance(x)
    monkeypatch.setattr(distances, "TILE_ROWS", 7)
    monkeypatch.setattr(mmd, "TILE_ROWS", 7)
    assert mmd2(x, y, sigma=2.0) == pytest.approx(value, rel=1e-12)
    assert median_distance(x) == pytest.approx(sigma, rel=1e-14)


def test_the_bandwidth_is_the_median_distance_within_the_reference() -> None:
    x = rows(60, 5, 1)
    distances = np.sqrt(np.square(x[:, None] - x[None]).sum(axis=2))[np.triu_indices(60, k=1)]
    assert median_distance(x) == pytest.approx(float(np.median(distances)), rel=1e-12)
    score = MMD().measure(Side(features=x), Side(features=rows(40, 5, 2)))
    assert score.details["sigma"] == median_distance(x)
    assert score.details["sigma_rule"] == "median distance of 60 reference rows"


def test_a_given_bandwidth_takes_the_place_of_the_median() -> None:
    x, y = rows(60, 5, 1), rows(40, 5, 2)
    score = MMD(sigma=3.0, estimator="biased").measure(Side(features=x), Side(features=y))
    assert score.value == pytest.approx(truth(x, y, 3.0, unbiased=False), rel=1e-12)
    assert score.details["root"] == pytest.approx(np.sqrt(score.value))
    assert score.details["sigma_rule"] == "given"


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_reference_of_copies_has_no_bandwidth(offset: float) -> None:
    copies = np.repeat(rows(1, 5, 1), 40, axis=0) + offset
    with pytest.raises(InvalidSamples, match="median distance within the reference is 0"):
        median_distance(copies)
    mostly = np.concatenate([copies, rows(10, 5, 2) + offset])
    with pytest.raises(InvalidSamples, match="median distance within the reference is 0"):
        median_distance(mostly)
    assert median_distance(np.concatenate([copies[:10], rows(30, 5, 2) + offset])) > 1


def test_two_copies_of_opposite_zeros_are_copies() -> None:
    with pytest.raises(InvalidSamples, match="is 0"):
        median_distance(np.array([[0.0, 1.0], [-0.0, 1.0]]))


def test_a_set_against_itself_is_below_zero_unbiased_and_zero_biased() -> None:
    x = rows(50, 4, 1)
    assert mmd2(x, x, sigma=2.0) < 0
    assert mmd2(x, x, sigma=2.0, unbiased=False) == pytest.approx(0, abs=1e-15)


def test_sets_too_far_apart_to_overlap_are_measured_each_around_its_own_centre() -> None:
    x, y = rows(50, 4, 1), rows(50, 4, 2)
    apart = mmd2(x, y + 1e6, sigma=2.0)
    expected = truth(x, y, 2.0, unbiased=True) + 2 * float(kernel(x, y, 2.0).mean())
    assert apart == pytest.approx(expected, rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 30), m=st.integers(2, 30), d=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_mmd_is_symmetric_and_blind_to_shifts_and_order(n: int, m: int, d: int, seed: int) -> None:
    x, y = rows(n, d, seed), rows(m, d, seed + 1, 1.3)
    value = mmd2(x, y, sigma=1.5)
    assert mmd2(y, x, sigma=1.5) == pytest.approx(value, abs=1e-13)
    assert mmd2(x + 1000, y + 1000, sigma=1.5) == pytest.approx(value, abs=1e-11)
    assert mmd2(x[::-1], y[::-1], sigma=1.5) == pytest.approx(value, abs=1e-13)


def test_the_floor_of_copies_is_a_reason() -> None:
    reference = Side(features=np.repeat(rows(1, 5, 1), 40, axis=0))
    floor = MMD().noise_floor(reference, reference, seed=0)
    assert floor.value is None
    assert "copies" in floor.how


def test_the_floor_of_a_reference_lies_about_zero() -> None:
    reference = Side(features=rows(400, 5, 1))
    floor = MMD().noise_floor(reference, reference, seed=0)
    assert floor.sizes == (400, 400)
    assert floor.value == pytest.approx(0, abs=0.02)


def test_the_mean_rule_takes_the_root_of_the_mean_squared_distance() -> None:
    x, y = rows(60, 5, 1), rows(40, 5, 2)
    expected = np.sqrt(np.square(x[:, None] - x[None]).sum(axis=2).mean())
    assert root_mean_square_distance(x) == pytest.approx(float(expected), rel=1e-12)
    score = MMD(bandwidth="mean").measure(Side(features=x), Side(features=y))
    assert score.details["sigma"] == root_mean_square_distance(x)
    with pytest.raises(InvalidSamples, match="copies of one"):
        root_mean_square_distance(np.ones((5, 2)))


@pytest.mark.parametrize("name", ["rational_quadratic", "polynomial"])
def test_other_kernels_are_their_definitions(name: Literal["rational_quadratic", "polynomial"]) -> None:
    x, y = rows(30, 4, 1), rows(25, 4, 2, 1.5)

    def mean(a: Real, b: Real) -> float:
        if name == "polynomial":
            return float(((a @ b.T / 4 + 1) ** 3).mean())
        return float((1 / (1 + np.square(a[:, None] - b[None]).sum(axis=2) / 8)).mean())

    score = MMD(kernel=name, sigma=2.0, estimator="biased").measure(Side(features=x), Side(features=y))
    assert score.value == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y), rel=1e-10)


def test_the_p_value_is_small_for_different_sets_and_not_for_equal_ones() -> None:
    x = Side(features=rows(60, 4, 1))
    different = MMD().measure(x, Side(features=rows(60, 4, 2) + 1), intervals=True)
    equal = MMD().measure(x, Side(features=rows(60, 4, 2)), intervals=True)
    assert different.details["p_value"] == 1 / 200
    assert float(equal.details["p_value"]) > 0.05


def test_the_permuted_statistic_of_the_true_labels_is_the_score() -> None:
    x, y = rows(30, 4, 1), rows(25, 4, 2)
    z = np.concatenate([x, y])
    k = kernel(z, z, 2.0)
    np.fill_diagonal(k, 0.0)
    labels = (np.arange(55) < 30).astype(np.float64)[:, None]
    assert mmd._permuted(k, labels, 30, 25)[0] == pytest.approx(truth(x, y, 2.0, unbiased=True), rel=1e-10)


def test_the_interval_of_a_biased_score_is_for_its_expectation() -> None:
    sides = Side(features=rows(60, 4, 1)), Side(features=rows(60, 4, 2) + 1)
    for estimator, word in (("biased", "expectation"), ("unbiased", "populations")):
        interval = MMD.model_validate({"estimator": estimator}).measure(*sides, intervals=True).interval
        assert isinstance(interval, Interval)
        assert word in interval.estimand
        assert "bandwidth" in interval.estimand


@pytest.mark.parametrize("fields", [{}, {"sigma": 1e-200}, {"sigma": 1e200}])
def test_a_bandwidth_without_a_square_is_refused(fields: dict[str, float]) -> None:
    x = rows(20, 3, 1, 1.0 if fields else 1e-200)
    with pytest.raises(InvalidSamples, match="bandwidth"):
        MMD.model_validate(fields).measure(Side(features=x), Side(features=2 * x))


def test_of_many_rows_those_that_set_the_bandwidth_lie_evenly_over_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mmd, "MEDIAN_ROWS", 10)
    # 0, 11, …, 99: 9, 8, 7, … pairs of them are 11, 22, 33, … apart, and the 23rd of all 45 is 33
    assert median_distance(np.arange(100.0)[:, None]) == pytest.approx(33)


def test_a_score_below_nothing_has_no_root() -> None:
    x = rows(50, 4, 1)
    score = MMD(sigma=2.0).measure(Side(features=x), Side(features=x))
    assert score.value < 0
    assert score.details["root"] == 0


def test_the_p_value_permutes_the_labels_of_sets_of_their_own_sizes() -> None:
    few = Side(features=rows(10, 2, 1) + 3)
    many = Side(features=rows(40, 2, 2))
    for sides in ((few, many), (many, few)):
        assert MMD().measure(*sides, intervals=True).details["p_value"] == 1 / 200


def test_of_many_samples_the_p_value_takes_some_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmd, "PERMUTED_ROWS", 60)
    x, y = np.sort(rows(400, 1, 1), axis=0), rows(400, 1, 2)  # the first sixty alone are the lowest
    found = MMD().measure(Side(features=x), Side(features=y), intervals=True).details["p_value"]
    assert float(found) > 0.05


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_a_polynomial_kernel_is_a_power_whatever_its_degree(degree: int) -> None:
    z = np.array([-1.5, 0.0, 0.5, 2.0])
    assert Polynomial(degree)(z.copy()) == pytest.approx(z**degree)
