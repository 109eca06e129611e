import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.fid import FID, fid
from service.metrics.fid_infinity import STEEP, FIDInfinity
from service.metrics.fid_variance import fid_variances
from service.metrics.frechet import distance, gaussian_of
from service.metrics.metric import Side
from service.metrics.statistics import Statistics, statistics_of
from service.metrics.uncertainty import ALIKE, Interval

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def test_two_draws_of_one_distribution_are_extrapolated_to_nothing() -> None:
    sides = [(Side(features=rows(400, 8, 2 * s)), Side(features=rows(400, 8, 2 * s + 1))) for s in range(20)]
    scores = [FIDInfinity().measure(*pair) for pair in sides]
    assert float(np.mean([score.details["fid"] for score in scores])) > 0.08
    assert float(np.mean([score.value for score in scores])) == pytest.approx(0, abs=0.01)
    assert float(np.mean([score.details["slope"] for score in scores])) == pytest.approx(8 * 2 + 8 * 9 / 2, rel=0.3)


def test_a_reference_of_statistics_is_taken_as_it_is() -> None:
    x, y = rows(500, 8, 1), rows(300, 8, 2, 1.2)
    score = FIDInfinity().measure(Side(statistics=statistics_of(x)), Side(features=y), intervals=True)
    assert score.details["extrapolated"] == "generated"
    assert isinstance(score.interval, Interval)
    assert score.interval.estimand.endswith("the reference is taken as fixed")
    assert score.interval.standard_error == score.interval.generated_error


def test_halves_of_fewer_samples_than_dimensions_have_a_warning_and_no_interval() -> None:
    score = FIDInfinity().measure(Side(features=rows(30, 20, 1)), Side(features=rows(60, 20, 2)), intervals=True)
    assert STEEP in score.warnings[0]
    assert score.interval == STEEP


def test_what_cannot_be_extrapolated_is_said() -> None:
    enough, few = Side(features=rows(4, 2, 1)), Side(features=rows(3, 2, 2))
    assert FIDInfinity().lacks(enough, enough) is None
    assert FIDInfinity().lacks(enough, few) == "the features of at least 4 samples; the generated set has 3"
    assert FIDInfinity().lacks(few, enough) == "the features of at least 4 samples; the reference has 3"
    assert FIDInfinity().lacks(Side(statistics=Statistics(np.zeros(2), np.eye(2))), enough) is None


def weighted_fid(x: Real, y: Real, weights: Real) -> float:
    """FID with the moments of x weighted, for the derivative by a weight."""
    mean = np.average(x, axis=0, weights=weights)
    centred = x - mean
    covariance = (centred * weights[:, None]).T @ centred / weights.sum() * len(x) / (len(x) - 1)
    return distance(Statistics(mean, covariance, len(x)), gaussian_of(y, "generated")).raw


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 4), (40, 6, 8)])
def test_the_influence_is_the_derivative_by_a_samples_weight(n: int, m: int, d: int) -> None:
    x, y = rows(n, d, 1), rows(m, d, 2, 1.3) + 0.2
    h = 1e-4
    influence = []
    for i in range(n):
        up, down = np.ones(n), np.ones(n)
        up[i] += h
        down[i] -= h
        influence.append(n * (weighted_fid(x, y, up) - weighted_fid(x, y, down)) / (2 * h))
    found = fid_variances(distance(gaussian_of(x, "x"), gaussian_of(y, "y")), x, y, corrected=False)
    assert found.real == pytest.approx(float(np.var(influence, ddof=1)) / n, rel=0.03)


def test_routes_through_samples_and_through_singular_covariances_give_one_variance() -> None:
    x, y = rows(20, 30, 1), rows(25, 30, 2)
    through_samples = fid_variances(distance(gaussian_of(x, "x"), gaussian_of(y, "y")), x, y, corrected=False)
    through_roots = fid_variances(distance(statistics_of(x), statistics_of(y)), x, y, corrected=False)
    assert through_roots.real == pytest.approx(through_samples.real, rel=1e-6)
    assert through_roots.generated == pytest.approx(through_samples.generated, rel=1e-6)


def test_constant_sets_have_a_score_and_no_interval_where_nothing_varies() -> None:
    constant = np.ones((20, 3))
    assert FID().measure(Side(features=constant), Side(features=constant + 1), intervals=True).interval == ALIKE
    mixed = FID().measure(Side(features=rows(20, 3, 1)), Side(features=constant), intervals=True)
    assert isinstance(mixed.interval, Interval)
    assert mixed.value == fid(rows(20, 3, 1), constant).value


def test_fid_of_bare_generated_statistics_has_no_interval_but_a_reason() -> None:
    statistics = Side(statistics=statistics_of(rows(20, 3, 1)))
    found = FID().measure(Side(features=rows(20, 3, 2)), statistics, intervals=True).interval
    assert found == "the generated samples are known by their statistics only"


def test_the_score_is_twice_the_whole_less_the_mean_of_two_pairs_of_halves() -> None:
    x, y = rows(60, 3, 1), rows(41, 3, 2, 1.4)
    rng = np.random.default_rng(7)
    of_x, of_y = rng.permutation(60), rng.permutation(41)
    whole = fid(x, y).value
    half = (fid(x[of_x[:30]], y[of_y[:20]]).value + fid(x[of_x[30:]], y[of_y[20:40]]).value) / 2
    score = FIDInfinity(split_seed=7).measure(Side(features=x), Side(features=y))
    assert score.value == pytest.approx(2 * whole - half, rel=1e-9)
    assert score.details["slope"] == pytest.approx((half - whole) * 41, rel=1e-9)


def test_a_score_may_be_negative_and_says_the_variance_that_fid_has_without_its_correction() -> None:
    sides = [(rows(200, 2, 2 * seed), rows(150, 2, 2 * seed + 1)) for seed in range(12)]
    scores = [FIDInfinity().measure(Side(features=x), Side(features=y), intervals=True) for x, y in sides]
    assert min(score.value for score in scores) < 0
    for (x, y), score in zip(sides, scores, strict=True):
        plain = fid_variances(distance(gaussian_of(x, "x"), gaussian_of(y, "y")), x, y, corrected=False)
        assert isinstance(score.interval, Interval)
        assert score.interval.standard_error == pytest.approx(plain.error, rel=1e-9)


def test_halves_of_one_sample_more_than_the_dimensions_are_straight_enough() -> None:
    for n, straight in ((12, False), (13, False), (14, True)):
        score = FIDInfinity().measure(Side(features=rows(n, 6, 1)), Side(features=rows(60, 6, 2)))
        assert (score.warnings == ()) is straight
