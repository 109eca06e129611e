import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from service.errors import InvalidSamples
from service.metrics import transport as module
from service.metrics.metric import Metric, Side
from service.metrics.sliced_wasserstein import SlicedWasserstein
from service.metrics.transport import Plan, transport
from service.metrics.uncertainty import Interval
from service.metrics.wasserstein import Wasserstein, wasserstein

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d))


def by_linear_programme(costs: Real) -> float:
    n, m = costs.shape
    sums = np.zeros((n + m, n * m))
    for i, j in itertools.product(range(n), range(m)):
        sums[i, i * m + j] = sums[n + j, i * m + j] = 1
    weights = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    return float(linprog(costs.ravel(), A_eq=sums, b_eq=weights).fun)


@given(n=st.integers(1, 12), m=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_plans_are_the_optimum_and_proved_by_their_potentials(n: int, m: int, seed: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 8, (n, m)).astype(np.float64)
    plan = transport(costs)
    assert plan.cost == pytest.approx(by_linear_programme(costs), abs=1e-9)
    assert plan.f.mean() + plan.g.mean() == pytest.approx(plan.cost, abs=1e-9)
    assert (costs - plan.f[:, None] - plan.g).min() >= -1e-9


def test_more_samples_of_each_side_by_copying_change_nothing() -> None:
    x, y = rows(30, 4, 1), rows(20, 4, 2)
    assert wasserstein(x, y) == pytest.approx(wasserstein(np.repeat(x, 2, axis=0), np.repeat(y, 3, axis=0)), rel=1e-12)


def test_sets_of_any_sizes_are_symmetric() -> None:
    x, y = rows(70, 4, 1), rows(45, 4, 2)
    assert wasserstein(x, y) == pytest.approx(wasserstein(y, x), rel=1e-12)


def test_a_shift_is_its_length_and_a_set_against_itself_is_nothing() -> None:
    x = rows(50, 4, 1)
    assert wasserstein(x, x[::-1]) == 0
    assert wasserstein(x, x + np.array([3.0, 4.0, 0.0, 0.0])) == pytest.approx(5, rel=1e-12)


def test_a_plan_that_is_not_proved_optimal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_assign", lambda costs: Plan(1.0, np.zeros(len(costs)), np.zeros(len(costs))))
    with pytest.raises(InvalidSamples, match="did not reach its optimum"):
        transport(np.ones((3, 3)) * 2)


def test_more_than_five_thousand_samples_are_refused_and_not_replaced() -> None:
    with pytest.raises(InvalidSamples, match=r"at most 5,000 samples a side; .* 5,001 and 2. .* sliced_wasserstein"):
        wasserstein(np.zeros((5001, 1)), np.ones((2, 1)))
    with pytest.raises(InvalidSamples, match="at most 10"):
        Wasserstein(largest=10).measure(Side(features=rows(11, 2, 1)), Side(features=rows(5, 2, 2)))


@given(n=st.integers(2, 40), m=st.integers(2, 40), seed=st.integers(0, 1000))
def test_in_one_dimension_sliced_and_exact_are_the_same(n: int, m: int, seed: int) -> None:
    x, y = rows(n, 1, seed), rows(m, 1, seed + 1) + 0.3
    sides = Side(features=x), Side(features=y)
    sliced = SlicedWasserstein(projections=3).measure(*sides)
    assert sliced.value == pytest.approx(wasserstein(x, y), rel=1e-9)


def test_sliced_is_no_more_than_exact_and_blind_to_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rows(60, 6, 1), rows(50, 6, 2) * 1.5
    score = SlicedWasserstein().measure(Side(features=x), Side(features=y), intervals=True)
    assert 0 < score.value < wasserstein(x, y)
    monkeypatch.setattr("service.metrics.sliced_wasserstein.AT_ONCE", 5)
    again = SlicedWasserstein().measure(Side(features=x), Side(features=y), intervals=True)
    assert again.value == pytest.approx(score.value, rel=1e-12)
    other = SlicedWasserstein(projection_seed=1).measure(Side(features=x), Side(features=y))
    assert other.value != score.value


def test_potentials_lie_halfway_between_the_two_extreme_ones() -> None:
    # −3, 5 and 100 go to −4, 0 and 102, which costs 1, 5 and 2. As −3 is only 3 from 0, f₁ ≤ f₂ + 3 − 5 is all that
    # binds: the largest f that is nowhere above 0 is (−2, 0, 0), the least that is nowhere below it (0, 2, 0).
    f = np.array([-1.0, 1.0, 0.0])
    g = np.array([1.0, 5.0, 2.0]) - f
    real, generated = Side(features=np.array([[-3.0], [5.0], [100.0]])), Side(features=np.array([[-4.0], [0], [102]]))
    interval = Wasserstein().measure(real, generated, intervals=True).interval
    assert isinstance(interval, Interval)
    assert interval.generated_error == pytest.approx((g.var(ddof=1) / 3) ** 0.5)
    assert interval.standard_error == pytest.approx(((f.var(ddof=1) + g.var(ddof=1)) / 3) ** 0.5)


@pytest.mark.parametrize("metric", [Wasserstein(), SlicedWasserstein(projections=3)])
def test_a_set_that_does_not_vary_causes_no_variance(metric: Metric) -> None:
    varied, constant = Side(features=np.array([[1.0], [2.0], [4.0], [9.0]])), Side(features=np.zeros((4, 1)))
    spread = ((9 + 4 + 0 + 25) / 3 / 4) ** 0.5  # of the distances 1, 2, 4 and 9
    for real, generated, caused in ((varied, constant, 0.0), (constant, varied, spread)):
        score = metric.measure(real, generated, intervals=True)
        assert score.value == pytest.approx(4)
        assert isinstance(score.interval, Interval)
        assert score.interval.generated_error == pytest.approx(caused, abs=1e-12)
        assert score.interval.standard_error == pytest.approx(spread)


def test_directions_have_length_one_and_no_corner_is_nearer_than_another() -> None:
    # E |θ₁| of a random unit vector in the plane is 2 / π
    for step in ([1.0, 0.0], [0.5**0.5, 0.5**0.5]):
        x = np.zeros((3, 2))
        score = SlicedWasserstein(projections=10_000).measure(Side(features=x), Side(features=x + step))
        assert score.value == pytest.approx(2 / np.pi, rel=0.01)


@pytest.mark.parametrize("metric", [Wasserstein(), SlicedWasserstein(projections=3)])
def test_an_interval_of_a_distance_does_not_go_below_nothing(metric: Metric) -> None:
    far = Side(features=np.array([[0.0], [0.0], [0.0], [8.0]]))
    interval = metric.measure(far, Side(features=np.zeros((4, 1))), intervals=True).interval
    assert isinstance(interval, Interval)
    assert interval.standard_error == pytest.approx(2)  # beside a score of 2
    assert interval.low == 0


def test_potentials_of_projections_are_those_of_one_where_there_is_one_dimension() -> None:
    x, y = rows(20, 1, 1), rows(15, 1, 2) * 2 + 0.3
    sides = Side(features=x), Side(features=y)
    sliced, exact = (metric.measure(*sides, intervals=True).interval for metric in (SlicedWasserstein(), Wasserstein()))
    assert isinstance(sliced, Interval)
    assert isinstance(exact, Interval)
    assert sliced.standard_error == pytest.approx(exact.standard_error, rel=0.2)
