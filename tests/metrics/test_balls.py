"""Variances of what is counted among neighbours, on a line where a pencil finds them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.metric import Side
from service.metrics.registry import build_metric
from service.metrics.uncertainty import Interval

Real = NDArray[np.float64]

# Four pairs, so that with k = 1 every ball has the radius 1. Of ten others three lie in the first ball alone, one in
# the ball about 101 alone, two in both balls of the third pair, and four in none.
PAIRS = np.array([0.0, 1.0, 100.0, 101.0, 200.0, 201.0, 300.0, 301.0])[:, None]
OTHERS = np.array([-0.5, -0.4, -0.3, 101.5, 200.4, 200.6, 1000.0, 2000.0, 4000.0, 8000.0])[:, None]

# In its only ball a sample counts with itself, of which at most a third is left where much is uncovered.
IN_PAIRS = (0.6 * 0.4 / 10, (2.5**2 + 0.5**2 + 6 * 0.5**2 - 2 / 3 * 4) / 10**2)  # three, one and six times no sample
OF_PAIRS = (0.5 * 0.5 / 8, (0.9**2 + 9 * 0.1**2 - 2 / 3) / 8**2)  # 0, 101, 200 and 201 hold one; only 101 one alone


def variances(name: str, real: Real, generated: Real) -> tuple[float, float, float]:
    """The score, and what the real and the generated samples add to its variance."""
    options = {} if name == "memorisation" else {"k": 1}
    score = build_metric(name, options).measure(Side(features=real), Side(features=generated), intervals=True)
    assert isinstance(score.interval, Interval)
    whole, generated_part = score.interval.standard_error**2, score.interval.generated_error**2
    return score.value, whole - generated_part, generated_part


@pytest.mark.parametrize(
    ("name", "real", "generated", "expected"),
    [
        ("precision", PAIRS, OTHERS, (0.6, IN_PAIRS[1], IN_PAIRS[0])),
        ("recall", OTHERS, PAIRS, (0.6, IN_PAIRS[0], IN_PAIRS[1])),
        ("coverage", PAIRS, OTHERS, (0.5, OF_PAIRS[0], OF_PAIRS[1])),
    ],
)
def test_samples_cause_a_shares_variance_and_the_balls_that_are_alone_another(
    name: str, real: Real, generated: Real, expected: tuple[float, float, float]
) -> None:
    assert variances(name, real, generated) == pytest.approx(expected, rel=1e-12)


def test_density_loses_a_samples_ball_and_gains_where_the_balls_it_ended_reach_further() -> None:
    balls = np.array([1, 1, 1, 1, 2, 2, 0, 0, 0, 0])
    lost = np.array([3, 0, 0, 1, 2, 2, 0, 0])
    gained = np.array([3, 0, 0, 1, 0, 1, 0, 0])  # by the partner, whose ball then ends at the next pair
    change = lost - gained
    others = np.square(change - change.mean()).sum() / 10**2 / 2
    assert variances("density", PAIRS, OTHERS) == pytest.approx((0.8, others, balls.var() / 10), rel=1e-12)


def test_memorisation_is_left_without_each_real_sample_and_those_it_was_nearest_to() -> None:
    left_out = np.array([3 / 7, 0.6, 0.6, 5 / 9, 5 / 9, 5 / 9, 0.6, 1.0])  # of six near ones among ten
    others = 7 / 8 * np.square(left_out - left_out.mean()).sum() / 2
    assert variances("memorisation", PAIRS, OTHERS) == pytest.approx((0.6, others, 0.6 * 0.4 / 10), rel=1e-12)


def test_less_of_a_samples_term_with_itself_is_left_where_nearly_all_are_covered() -> None:
    others = np.concatenate([-0.5 + 0.01 * np.arange(10), 101.5 + 0.01 * np.arange(9), [5000.0]])[:, None]
    spread = (10 - 19 / 8) ** 2 + (9 - 19 / 8) ** 2 + 6 * (19 / 8) ** 2
    left = 10 / 3 * 0.05  # of what one in twenty without a ball leaves
    expected = (0.95, (spread - (1 - left) * 19) / 20**2, 0.95 * 0.05 / 20)
    assert variances("precision", PAIRS, others) == pytest.approx(expected, rel=1e-12)


def test_a_real_sample_that_has_a_copy_is_not_lost_when_it_is_left_out() -> None:
    real = np.repeat(PAIRS, 2, axis=0)
    generated = np.concatenate([PAIRS[:3], OTHERS])  # only a copy is as near as a copy
    expected = (3 / 13, 0.0, 3 / 13 * 10 / 13 / 13)
    assert variances("memorisation", real, generated) == pytest.approx(expected, rel=1e-12, abs=1e-15)
