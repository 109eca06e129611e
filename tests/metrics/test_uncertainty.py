import numpy as np
import pytest

from service.metrics.uncertainty import Interval, Variances, tail_index, tail_of

Z = 1.959963984540054


def test_a_square_near_nothing_reaches_at_most_half_a_reach_higher() -> None:
    found = Variances(real=0.0, generated=1.0).interval(0.1, "a square", lowest=0.0, squared=True)
    assert isinstance(found, Interval)
    assert found.low == 0
    assert found.high == pytest.approx(0.1 + 1.5 * Z)
    free = Variances(real=0.0, generated=1.0).interval(0.1, "a square", squared=True)
    assert isinstance(free, Interval)
    assert free.low == pytest.approx(0.1 - Z)


def test_a_square_beyond_half_a_reach_is_even_about_its_root() -> None:
    found = Variances(real=0.0, generated=1.0).interval(Z, "a square", squared=True)
    assert isinstance(found, Interval)
    assert found.high == pytest.approx((Z**0.5 + Z / (2 * Z**0.5)) ** 2)


@pytest.mark.parametrize(("tail", "least", "is_light"), [(1.49, 1.5, False), (1.5, 1.5, True), (1.59, 1.6, False)])
def test_a_tail_is_light_from_its_least_index_on(tail: float, least: float, *, is_light: bool) -> None:
    found = Variances(real=1.0, generated=1.0, tail=tail, least_tail=least).interval(5.0, "anything")
    assert isinstance(found, Interval) is is_light


def test_a_tail_index_below_one_and_a_half_is_heavy_unless_a_metric_says_otherwise() -> None:
    assert Variances(real=1.0, generated=1.0).least_tail == 1.5


def test_a_side_that_makes_a_thousandth_of_the_variance_has_its_say_in_the_tail() -> None:
    plain, heavy = np.random.default_rng(1).standard_normal(500), np.random.default_rng(2).standard_t(1, 500)
    heavy *= (plain.var() / heavy.var() / 1000) ** 0.5
    assert tail_of(plain, heavy) == tail_of(heavy, plain) == tail_index(heavy) < tail_index(plain)
