"""Tails that no sample can tell are a reason, not a short interval."""

import numpy as np
import pytest

from service.metrics.fid import FID
from service.metrics.metric import Side
from service.metrics.uncertainty import (
    Interval,
    Variances,
    influence_variance,
    permutation_p_value,
    tail_index,
    tail_of,
)


@pytest.mark.parametrize("index", [1.0, 2.0, 4.0])
def test_the_tail_index_of_a_power_law_is_its_power(index: float) -> None:
    rng = np.random.default_rng(1)
    law = (rng.pareto(index, 20_000) + 1) * rng.choice([-1.0, 1.0], 20_000)
    law[::10] = 0  # so that the law lies about its median
    assert tail_index(law) == pytest.approx(index, rel=0.15)


def test_what_has_no_tail_has_no_index() -> None:
    assert tail_index(np.zeros(500)) == np.inf
    assert tail_index(np.repeat([-1.0, 1.0], 50)) == np.inf
    assert tail_index(np.random.default_rng(1).standard_cauchy(99)) == np.inf
    assert tail_index(np.eye(1, 200)[0]) == 0


def test_a_side_that_makes_no_difference_has_no_say_in_the_tail() -> None:
    telling = np.random.default_rng(1).standard_normal(500)
    rounding = 1e-16 * np.eye(1, 500)[0]
    assert tail_of(telling, rounding) == tail_index(telling)
    assert tail_of(np.zeros(10), np.zeros(10)) == np.inf


def test_a_variance_of_a_heavy_tail_is_a_reason() -> None:
    found = Variances(real=1.0, generated=1.0, tail=1.2).interval(5.0, "anything")
    assert isinstance(found, str)
    assert "tail index of 1.2" in found
    assert isinstance(Variances(real=1.0, generated=1.0, tail=1.6).interval(5.0, "anything"), Interval)


def test_fid_of_heavy_tails_has_a_reason_and_of_rectified_features_an_interval() -> None:
    def heavy(seed: int) -> Side:
        return Side(features=np.random.default_rng(seed).standard_t(2, (500, 8)))

    def rectified(seed: int) -> Side:
        return Side(features=np.maximum(np.random.default_rng(seed).standard_normal((500, 8)), 0))

    found = FID().measure(heavy(1), heavy(2), intervals=True).interval
    assert isinstance(found, str)
    assert "few samples far out" in found
    assert isinstance(FID().measure(rectified(1), rectified(2), intervals=True).interval, Interval)


@pytest.mark.parametrize(("n", "tail"), [(100, 10), (200, 10), (400, 20), (1019, 50)])
def test_the_tail_index_is_hills_from_the_twentieth_part_that_is_furthest_out_and_from_ten_at_least(
    n: int, tail: int
) -> None:
    above = np.concatenate([np.full(tail, np.e**2), [1.0], np.full(n // 3, 0.5)])
    contributions = 40.0 + np.append(above, np.zeros(n - len(above)))  # more than half of them are 40
    assert tail_index(contributions) == pytest.approx(0.5)  # of the tail each lies e² times as far out as the next one
    assert tail_index(-contributions[::-1]) == pytest.approx(0.5)


def test_the_variance_by_influence_is_the_spread_of_single_samples_over_their_number() -> None:
    assert influence_variance(np.array([1.0, 2.0, 4.0, 9.0])) == pytest.approx((9 + 4 + 0 + 25) / 3 / 4)


def test_permutations_that_score_the_same_but_for_rounding_count_as_equal() -> None:
    assert permutation_p_value(0.3, np.array([0.1 + 0.2, 0.3 - 1e-15, 0.2, 0.1])) == 3 / 5
    assert permutation_p_value(0.0, np.zeros(9)) == 1
