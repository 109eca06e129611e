import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics.fid import FID, fid, frechet_distance
from service.metrics.metric import Side
from service.metrics.statistics import Statistics, statistics_of
from service.metrics.uncertainty import Interval

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def truth(real: Real, generated: Real) -> float:
    """The definition through matrix square roots, good enough at full rank and small d."""
    sx, sy = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    λ, vectors = np.linalg.eigh(sx)
    root = (vectors * np.sqrt(λ)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ sy @ root)).sum()
    step = real.mean(axis=0) - generated.mean(axis=0)
    return float(step @ step + np.trace(sx) + np.trace(sy) - 2 * cross)


def test_one_dimension_is_the_difference_of_means_and_deviations() -> None:
    x, y = rows(50, 1, 1), rows(60, 1, 2, 3.0) + 5
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert fid(x, y).value == pytest.approx(expected, rel=1e-12)


def test_samples_and_their_statistics_give_one_number() -> None:
    x, y = rows(300, 8, 1), rows(200, 8, 2, 1.5)
    assert frechet_distance(statistics_of(x), statistics_of(y)).value == pytest.approx(fid(x, y).value, rel=1e-12)
    assert fid(x, y).value == pytest.approx(truth(x, y), rel=1e-10)


def test_few_samples_against_full_statistics_keep_their_digits() -> None:
    many, few = rows(500, 32, 1), rows(20, 32, 2)
    mixed = FID().measure(Side(statistics=statistics_of(many)), Side(features=few))
    through_statistics = frechet_distance(statistics_of(many), statistics_of(few))
    assert mixed.value == pytest.approx(through_statistics.value, rel=1e-10)
    assert mixed.details["rank"] == through_statistics.details["rank"] == 19
    assert "the generated set has 20 samples for 32 dimensions" in mixed.warnings[0]


def test_statistics_of_few_samples_keep_the_value_of_the_samples() -> None:
    x, y = rows(20, 32, 1), rows(25, 32, 2)
    assert frechet_distance(statistics_of(x), statistics_of(y)).value == pytest.approx(fid(x, y).value, rel=1e-10)


def test_a_singular_covariance_without_a_count_is_warned_of() -> None:
    flat = Statistics(np.zeros(3), np.diag([1.0, 1.0, 0.0]))
    score = frechet_distance(flat, flat)
    assert score.value == pytest.approx(0, abs=1e-12)
    assert "share 2 of 3 dimensions" in score.warnings[0]


@pytest.mark.parametrize("scale", [1e-40, 1e-12, 1e12, 1e40])
def test_no_scale_under_or_overflows(scale: float) -> None:
    x, y = rows(100, 8, 1), rows(100, 8, 2, 1.5)
    assert fid(x * scale, y * scale).value == pytest.approx(fid(x, y).value * scale**2, rel=1e-10)


def test_an_offset_of_a_thousand_changes_nothing() -> None:
    x, y = rows(400, 16, 1), rows(400, 16, 2, 1.1)
    assert fid(x + 1000, y + 1000).value == pytest.approx(fid(x, y).value, rel=1e-9)


def test_a_matrix_with_a_negative_eigenvalue_is_no_covariance() -> None:
    wrong = Statistics(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(InvalidSamples, match="negative eigenvalue"):
        frechet_distance(Statistics(np.zeros(2), np.eye(2)), wrong)


def test_statistics_of_different_dimensions_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="must be equal"):
        frechet_distance(Statistics(np.zeros(2), np.eye(2)), Statistics(np.zeros(3), np.eye(3)))


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(2, 30),
    m=st.integers(2, 30),
    d=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    shift=st.integers(-64, 64),
)
def test_fid_is_symmetric_and_blind_to_shifts_rotations_and_order(
    n: int, m: int, d: int, seed: int, shift: int
) -> None:
    x, y = rows(n, d, seed), rows(m, d, seed + 1, 1.3)
    value = fid(x, y).value
    rotation = np.linalg.qr(rows(d, d, seed + 2))[0]
    tolerance = 1e-9 * float(np.square(x).sum(axis=1).mean() + np.square(y).sum(axis=1).mean())
    assert value >= 0
    assert fid(y, x).value == pytest.approx(value, rel=1e-9, abs=tolerance)
    assert fid(x + shift, y + shift).value == pytest.approx(value, rel=1e-8, abs=tolerance)
    assert fid(x @ rotation, y @ rotation).value == pytest.approx(value, rel=1e-8, abs=tolerance)
    assert fid(x[::-1], y[::-1]).value == pytest.approx(value, rel=1e-9, abs=tolerance)


def test_the_floor_is_taken_between_halves_of_the_reference() -> None:
    x = rows(101, 4, 1)
    floor = FID().noise_floor(Side(features=x, statistics=statistics_of(x)), Side(features=x), seed=3)
    assert floor.sizes == (101, 101)
    assert floor.value is not None
    assert 0 < floor.value < 1
    assert floor == FID().noise_floor(Side(features=x), Side(features=x), seed=3)


def test_the_floor_against_bare_statistics_is_the_mean_over_gaussian_draws() -> None:
    reference = Side(statistics=Statistics(np.zeros(64), np.eye(64)))
    floor = FID().noise_floor(reference, Side(features=rows(1000, 64, 1)), seed=0)
    assert floor.sizes == (1000,)
    assert "Gaussian" in floor.how
    # E FID of n samples of N(0, I) against N(0, I) is close to d/n + d(d + 1)/4n
    assert floor.value == pytest.approx(64 / 1000 + 64 * 65 / 4000, rel=0.1)


def test_the_floor_of_fewer_samples_than_dimensions_is_drawn_too() -> None:
    reference = Side(statistics=Statistics(np.zeros(16), np.eye(16)))
    floor = FID().noise_floor(reference, Side(features=rows(5, 16, 1)), seed=0)
    assert floor.value is not None
    assert floor.value > 1


def test_without_counts_there_is_no_floor_but_a_reason() -> None:
    bare = Side(statistics=Statistics(np.zeros(2), np.eye(2)))
    floor = FID().noise_floor(bare, bare, seed=0)
    assert floor.value is None
    assert "how many samples" in floor.how


def test_a_side_without_features_and_statistics_is_named() -> None:
    assert FID().lacks(Side(), Side(features=rows(2, 2, 0))) == "features or statistics; the reference has neither"


def test_the_floor_of_a_gaussian_that_is_off_centre_and_no_ball_is_that_of_its_eigenvalues() -> None:
    rotation = np.linalg.qr(rows(32, 32, 5))[0]
    λ = np.linspace(0.1, 4.0, 32)
    covariance = (rotation * λ) @ rotation.T
    reference = Side(statistics=Statistics(np.full(32, 7.0), (covariance + covariance.T) / 2))
    floor = FID().noise_floor(reference, Side(features=rows(1500, 32, 1)), seed=0)
    # to first order the means cost tr Σ / n, and an error Δ of the covariance ½ Σ Δ_ij² / (λ_i + λ_j), of which
    # E Δ_ij² = λ_i λ_j / n, and twice that where i = j
    errors = np.outer(λ, λ) * (1 + np.eye(32)) / np.add.outer(λ, λ)
    assert floor.value == pytest.approx((λ.sum() + errors.sum() / 2) / 1500, rel=0.1)


@pytest.mark.parametrize("count", [5, 40])
def test_where_a_gaussian_lies_does_not_move_its_floor(count: int) -> None:
    generated = Side(features=rows(count, 16, 1))
    near, far = (
        FID().noise_floor(Side(statistics=Statistics(np.full(16, mean), np.eye(16))), generated, seed=0)
        for mean in (0.0, 30.0)
    )
    assert near.value == pytest.approx(far.value, rel=1e-9)


def test_the_floor_is_the_mean_over_three_draws_of_which_each_has_the_generated_sets_size() -> None:
    d, n, seeds = 2, 300, 400
    reference = Side(statistics=Statistics(np.zeros(d), np.eye(d)))
    generated = Side(features=rows(n, d, 1))
    floors = [FID().noise_floor(reference, generated, seed=seed).value or 0.0 for seed in range(seeds)]
    drawn = [statistics_of(rows(n, d, 10_000 + seed)) for seed in range(seeds)]
    single = [frechet_distance(Statistics(np.zeros(d), np.eye(d)), draw).value for draw in drawn]
    assert np.mean(floors) == pytest.approx(np.mean(single), rel=0.1)
    assert np.var(floors) == pytest.approx(np.var(single) / 3, rel=0.3)


def test_as_many_samples_as_dimensions_are_too_few_and_one_more_is_enough() -> None:
    assert "8 samples for 8 dimensions" in fid(rows(40, 8, 1), rows(8, 8, 2)).warnings[0]
    assert fid(rows(9, 8, 1), rows(40, 8, 2)).warnings == ()


def test_the_floor_is_between_halves_that_have_no_sample_in_common() -> None:
    x = rows(60, 4, 1)
    orders = [np.random.default_rng(3 + place).permutation(60) for place in range(8)]
    halves = [truth(x[order[:30]], x[order[30:]]) for order in orders]
    floor = FID().noise_floor(Side(features=x), Side(features=rows(90, 4, 2)), seed=3)
    assert floor.value == pytest.approx(np.mean(halves) * (1 / 60 + 1 / 90) / (1 / 30 + 1 / 30), rel=1e-9)
    assert floor.spread == pytest.approx(np.std(halves, ddof=1) * (1 / 60 + 1 / 90) / (1 / 30 + 1 / 30), rel=1e-9)


def test_the_interval_is_even_about_the_root_of_the_score() -> None:
    found = FID().measure(Side(features=rows(300, 4, 1)), Side(features=rows(200, 4, 2, 1.5)), intervals=True)
    assert isinstance(found.interval, Interval)
    low, middle, high = (value**0.5 for value in (found.interval.low, found.value, found.interval.high))
    assert high - middle == pytest.approx(middle - low, rel=1e-9)
    assert high - middle == pytest.approx(1.959964 * found.interval.standard_error / (2 * middle), rel=1e-6)


def test_a_reference_with_statistics_is_taken_as_fixed_though_its_features_are_known() -> None:
    x, y = rows(300, 4, 1), rows(200, 4, 2, 1.5)
    both = FID().measure(Side(features=x, statistics=statistics_of(x)), Side(features=y), intervals=True).interval
    drawn = FID().measure(Side(features=x), Side(features=y), intervals=True).interval
    assert isinstance(both, Interval)
    assert isinstance(drawn, Interval)
    assert both.estimand.endswith("the reference is taken as fixed")
    assert both.standard_error == both.generated_error < drawn.standard_error
