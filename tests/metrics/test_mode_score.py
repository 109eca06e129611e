import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics.inception_score import inception_score
from service.metrics.metric import Side
from service.metrics.mode_score import ModeScore, Variant, mode_score
from service.metrics.uncertainty import Interval

Real = NDArray[np.float64]


def one_hot(classes: list[int], count: int) -> Real:
    return np.eye(count)[classes]


def test_equal_shares_leave_the_inception_score() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(4), 50)
    expected = inception_score(p, splits=1).value
    assert mode_score(p, p).value == pytest.approx(expected, rel=1e-12)
    assert mode_score(p, p, variant="che").value == pytest.approx(expected, rel=1e-12)


def test_shares_that_differ_lower_the_score() -> None:
    balanced, tilted = one_hot([0, 1] * 50, 2), one_hot([0, 0, 0, 1] * 25, 2)
    kl = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert mode_score(balanced, tilted).value == pytest.approx(inception_score(tilted, splits=1).value * np.exp(-kl))


@pytest.mark.parametrize(("variant", "lacking"), [("survey", "reference"), ("che", "generated set")])
def test_a_class_that_one_side_lacks_makes_the_score_zero_and_is_said(variant: Variant, lacking: str) -> None:
    both, one = one_hot([0, 1] * 10, 2), one_hot([0] * 20, 2)
    real, generated = (one, both) if variant == "survey" else (both, one)
    score = ModeScore(variant=variant).measure(Side(probabilities=real), Side(probabilities=generated), intervals=True)
    assert score.value == 0
    assert f"the {lacking} lacks a class" in score.warnings[0]
    assert isinstance(score.interval, str)


def test_a_class_that_only_the_generated_set_has_makes_ches_score_infinite() -> None:
    with pytest.raises(InvalidSamples, match="infinite"):
        mode_score(one_hot([0] * 20, 2), one_hot([0, 1] * 10, 2), variant="che")


def test_the_jackknife_leaves_out_each_sample() -> None:
    rng = np.random.default_rng(2)
    r, p = rng.dirichlet(np.ones(3), 12), rng.dirichlet(np.ones(3) * 2, 9)
    interval = ModeScore().measure(Side(probabilities=r), Side(probabilities=p), intervals=True).interval
    assert isinstance(interval, Interval)
    without = np.array([mode_score(r, np.delete(p, i, axis=0)).value for i in range(9)])
    expected = 8 / 9 * np.square(without - without.mean()).sum()
    assert interval.generated_error == pytest.approx(np.sqrt(expected), rel=1e-10)


def test_sides_without_probabilities_or_with_others_cannot_be_scored() -> None:
    p = one_hot([0, 1], 2)
    assert ModeScore().lacks(Side(), Side(probabilities=p)) == "class probabilities; the reference has none"
    assert ModeScore().lacks(Side(probabilities=p), Side()) == "class probabilities; the generated set has none"
    with pytest.raises(InvalidSamples, match="must be equal"):
        mode_score(p, one_hot([0, 1], 3))


@pytest.mark.parametrize("variant", ["survey", "che"])
def test_the_interval_holds_the_jackknife_of_the_real_samples_too(variant: Variant) -> None:
    rng = np.random.default_rng(2)
    r, p = rng.dirichlet(np.ones(3), 12), rng.dirichlet(np.ones(3) * 2, 9)
    sides = Side(probabilities=r), Side(probabilities=p)
    interval = ModeScore(variant=variant).measure(*sides, intervals=True).interval
    assert isinstance(interval, Interval)
    of_real = np.array([mode_score(np.delete(r, row, axis=0), p, variant=variant).value for row in range(12)])
    of_generated = np.array([mode_score(r, np.delete(p, row, axis=0), variant=variant).value for row in range(9)])
    variance = 11 * of_real.var() + 8 * of_generated.var()
    assert interval.standard_error == pytest.approx(variance**0.5, rel=1e-9)
