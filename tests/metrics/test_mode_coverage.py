import math

import numpy as np
import pytest

from service.errors import InvalidSamples
from service.metrics.mode_coverage import mode_coverage, reverse_kl

MODES = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0)]


def test_a_point_is_good_within_three_deviations_of_its_nearest_mode() -> None:
    points = np.array([[2.9, 0.0], [3.1, 0.0], [10.0, 2.9], [5.0, 5.0]])
    found = mode_coverage(points, MODES, 1.0)
    assert (found.modes, found.good) == (2, 0.5)


def test_one_good_point_covers_a_mode_and_even_shares_have_no_divergence() -> None:
    found = mode_coverage(np.array(MODES), MODES, 0.1)
    assert found == (4, 1.0, 0.0)


def test_the_divergence_is_from_even_shares_of_the_good_points() -> None:
    points = np.array([MODES[0]] * 3 + [MODES[1]] + [(5.0, 5.0)] * 50)
    expected = 0.75 * math.log(4 * 0.75) + 0.25 * math.log(4 * 0.25)
    assert mode_coverage(points, MODES, 1.0).reverse_kl == pytest.approx(expected)


def test_one_mode_or_none_is_as_far_as_can_be() -> None:
    assert mode_coverage(np.zeros((9, 2)), MODES, 1.0) == pytest.approx((1, 1.0, math.log(4)))
    assert mode_coverage(np.full((9, 2), 5.0), MODES, 1.0) == pytest.approx((0, 0.0, math.log(4)))


def test_points_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="NaN"):
        mode_coverage(np.array([[np.nan, 0.0]]), MODES, 1.0)


def test_modes_that_were_found_are_all_that_the_divergence_needs() -> None:
    assert reverse_kl(np.arange(1000), 1000) == 0
    assert reverse_kl(np.repeat(np.arange(10), 7), 1000) == pytest.approx(math.log(100))
