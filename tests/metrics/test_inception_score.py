import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics.inception_score import InceptionScore, inception_score
from service.metrics.metric import Side
from service.metrics.uncertainty import Interval


def one_hot(n: int, classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[np.arange(n) % classes]


def test_certain_and_varied_samples_reach_the_number_of_classes() -> None:
    assert inception_score(one_hot(100, 10), splits=1).value == pytest.approx(10, rel=1e-14)


def test_one_class_scores_one() -> None:
    assert inception_score(one_hot(100, 1), splits=10).value == 1


def test_a_class_that_never_occurs_adds_nothing() -> None:
    p = np.hstack([one_hot(100, 10), np.zeros((100, 5))])
    assert inception_score(p, splits=1).value == pytest.approx(10, rel=1e-14)


def test_every_sample_falls_into_one_split() -> None:
    score = inception_score(one_hot(25, 5), splits=4, shuffle_seed=None)
    # the splits 0–6, 6–12, 12–18 and 18–25 hold one class twice, the last one two of them
    even = np.exp(-(4 * (1 / 6) * np.log(1 / 6) + (2 / 6) * np.log(2 / 6)))
    last = np.exp(-(3 * (1 / 7) * np.log(1 / 7) + 2 * (2 / 7) * np.log(2 / 7)))
    assert score.value == pytest.approx((3 * even + last) / 4, rel=1e-12)
    assert score.details == {"std": pytest.approx(np.std([even, even, even, last]), rel=1e-12), "splits": 4}


def test_sorted_sets_are_shuffled_unless_told_otherwise() -> None:
    by_class = np.sort(np.arange(1000) % 10)
    generated = Side(probabilities=np.eye(10)[by_class])
    shuffled = InceptionScore().measure(Side(), generated)
    in_order = InceptionScore(shuffle=False).measure(Side(), generated)
    assert shuffled.value > 9
    assert in_order.value == pytest.approx(1)


def test_splits_smaller_than_the_number_of_classes_are_warned_of() -> None:
    assert "5 samples a split are fewer than the 10 classes" in inception_score(one_hot(50, 10)).warnings[0]
    assert inception_score(one_hot(100, 10)).warnings == ()


def test_a_set_without_probabilities_cannot_be_scored() -> None:
    assert InceptionScore().lacks(Side(), Side(features=np.zeros((3, 2)))) is not None


def test_the_floor_is_the_score_of_the_reference() -> None:
    floor = InceptionScore().noise_floor(Side(probabilities=one_hot(100, 10)), Side(), seed=0)
    assert floor.value is not None
    assert floor.value > 5
    assert floor.sizes == (100,)


@pytest.mark.parametrize(
    ("reference", "reason"), [(Side(), "no class probabilities"), (Side(probabilities=one_hot(5, 5)), "fewer than")]
)
def test_without_a_score_of_the_reference_there_is_a_reason(reference: Side, reason: str) -> None:
    floor = InceptionScore().noise_floor(reference, Side(), seed=0)
    assert floor.value is None
    assert reason in floor.how


def test_rows_that_are_no_distribution_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="not a distribution"):
        inception_score(np.full((20, 3), 0.5))


def test_the_interval_is_that_of_a_jackknife_within_each_split() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(4), 24)
    metric = InceptionScore(splits=3, shuffle=False)
    interval = metric.measure(Side(), Side(probabilities=p), intervals=True).interval
    assert isinstance(interval, Interval)
    variance = 0.0
    for part in (p[:8], p[8:16], p[16:]):
        without = np.array([inception_score(np.delete(part, row, axis=0), splits=1).value for row in range(8)])
        variance += 7 / 8 * float(np.square(without - without.mean()).sum()) / 3**2
    assert interval.standard_error == interval.generated_error == pytest.approx(variance**0.5, rel=1e-9)


def test_the_interval_stays_between_one_and_the_number_of_classes() -> None:
    rng = np.random.default_rng(2)
    sure, unsure = rng.dirichlet(np.full(3, 0.01), 30), rng.dirichlet(np.full(3, 3.0), 12)
    for p, ends in ((sure, (1.0, 3.0)), (unsure, (1.0, 3.0))):
        found = InceptionScore(splits=2).measure(Side(), Side(probabilities=p), intervals=True).interval
        assert isinstance(found, Interval)
        assert ends[0] <= found.low < found.high <= ends[1]


@pytest.mark.parametrize(("n", "enough"), [(19, False), (20, True)])
def test_an_interval_needs_two_samples_a_split(n: int, *, enough: bool) -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(4), n)
    found = InceptionScore().measure(Side(), Side(probabilities=p), intervals=True).interval
    assert isinstance(found, Interval) if enough else found == "a split holds one sample"
