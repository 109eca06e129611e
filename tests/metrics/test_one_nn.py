import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.metric import Side
from service.metrics.one_nn import OneNN

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Side:
    return Side(features=np.random.default_rng(seed).standard_normal((n, d)) * scale)


def test_sets_that_are_apart_are_told_apart() -> None:
    assert rows(20, 3, 1).features is not None
    far = Side(features=np.random.default_rng(2).standard_normal((30, 3)) + 100)
    score = OneNN().measure(rows(20, 3, 1), far, intervals=True)
    assert score.value == score.details["real"] == score.details["generated"] == 1
    assert score.details["p_value"] == 1 / 200
    assert isinstance(score.interval, str)


def test_a_set_and_itself_are_never_told_apart() -> None:
    score = OneNN().measure(rows(50, 3, 1), rows(50, 3, 1), intervals=True)
    assert score.value == 0
    assert score.details["p_value"] == 1


def test_a_generator_that_is_too_wide_shows_in_the_halves_and_not_in_the_whole() -> None:
    score = OneNN().measure(rows(500, 512, 1), rows(500, 512, 2, 1.05))
    assert score.value == pytest.approx(0.5, abs=0.04)
    assert float(score.details["real"]) > 0.85
    assert float(score.details["generated"]) < 0.1


def test_equal_distances_count_as_the_fraction_with_the_same_label() -> None:
    line = np.array([[0.0], [10.0], [20.0]])
    score = OneNN().measure(Side(features=line), Side(features=line + np.array([[1.0], [10.0], [10.0]])))
    # the generated 1, 20 and 30: the nearest of 30 are 20 in both sets, all others are nearest to the other set
    assert score.details["real"] == 0
    assert score.details["generated"] == pytest.approx(0.5 / 3)


def test_copies_in_one_half_are_each_others_neighbours() -> None:
    copies = Side(features=np.repeat(np.eye(3) * 10, 4, axis=0))
    score = OneNN().measure(rows(12, 3, 1), copies)
    assert score.details["generated"] == 1


def test_p_values_of_equal_distributions_are_spread_out() -> None:
    values = [
        float(
            OneNN(permutations=39)
            .measure(rows(40, 2, 2 * s), rows(40, 2, 2 * s + 1), intervals=True)
            .details["p_value"]
        )
        for s in range(60)
    ]
    assert 0.35 < float(np.mean(values)) < 0.65
    assert float(np.mean(np.array(values) <= 0.05)) <= 0.15


def test_the_p_value_depends_on_the_seed_and_the_score_does_not() -> None:
    first, second = (OneNN().measure(rows(50, 3, 1), rows(50, 3, 2), intervals=True, seed=s) for s in (1, 2))
    assert first.value == second.value
    assert first.interval == second.interval
    assert first.details["p_value"] != second.details["p_value"]


def test_the_ideal_is_what_equal_distributions_score_whatever_their_sizes() -> None:
    scores = [OneNN().measure(rows(120, 4, 2 * seed), rows(40, 4, 2 * seed + 1)) for seed in range(60)]
    ideal = float(scores[0].details["ideal"])
    assert ideal == pytest.approx((120 * 119 + 40 * 39) / (160 * 159))
    assert np.mean([score.value for score in scores]) == pytest.approx(ideal, abs=0.015)
    assert not any(score.warnings for score in scores)


def test_halves_that_their_mean_hides_are_warned_of() -> None:
    [warning] = OneNN().measure(rows(500, 512, 1), rows(500, 512, 2, 1.05)).warnings
    assert "the halves read" in warning
    assert OneNN().measure(rows(500, 8, 1), rows(500, 8, 2)).warnings == ()


def test_halves_of_unequal_sets_that_are_apart_hide_nothing() -> None:
    apart = Side(features=np.random.default_rng(2).standard_normal((30, 8)) + 100)
    score = OneNN().measure(rows(300, 8, 1), apart)
    assert (score.details["real"], score.details["generated"]) == (1, 1)
    assert score.warnings == ()
