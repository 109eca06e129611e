"""What holds for every metric, so that a new line in the registry is tested with nothing written."""

import numpy as np
import pytest

from service.errors import InvalidRequest, InvalidSamples
from service.metrics.metric import NOT_ASKED, Score, Side
from service.metrics.registry import DEFAULT_METRICS, METRICS, build_metric
from service.metrics.uncertainty import Interval

every_metric = pytest.mark.parametrize("name", METRICS)


def side(n: int, seed: int) -> Side:
    rng = np.random.default_rng(seed)
    return Side(features=rng.standard_normal((n, 6)), probabilities=rng.dirichlet(np.ones(4), n))


@every_metric
def test_a_metric_measures_two_ordinary_sets(name: str) -> None:
    metric = build_metric(name)
    real, generated = side(60, 1), side(50, 2)
    assert metric.lacks(real, generated) is None
    score = metric.measure(real, generated)
    assert isinstance(score, Score)
    assert np.isfinite(score.value)
    assert score == metric.measure(real, generated)


@every_metric
def test_a_metric_announces_the_parts_that_thresholds_may_name(name: str) -> None:
    options = {"subsets": 2, "subset_size": 20} if name == "kid" else {}
    details = build_metric(name, options).measure(side(60, 1), side(50, 2), intervals=True).details
    numbers = {part for part, value in details.items() if not isinstance(value, str)}
    assert numbers == set(METRICS[name].parts)


@every_metric
def test_a_metric_has_an_interval_about_its_value_or_a_reason_and_the_same_value_without(name: str) -> None:
    metric = build_metric(name)
    score = metric.measure(side(300, 1), side(300, 2), intervals=True, seed=4)
    assert isinstance(score.interval, Interval)
    assert score.interval.low < score.value < score.interval.high
    assert 0 < score.interval.generated_error <= score.interval.standard_error
    assert score.interval.estimand
    assert score == metric.measure(side(300, 1), side(300, 2), intervals=True, seed=4)
    bare = metric.measure(side(300, 1), side(300, 2))
    assert bare.value == score.value
    assert bare.interval == NOT_ASKED


def test_a_score_says_of_its_interval_that_it_is_there_or_why_not() -> None:
    with pytest.raises(TypeError, match="interval"):
        Score(1.0)  # type: ignore[call-arg] # which is what this is about


@every_metric
def test_a_metric_of_a_set_and_itself_is_a_number(name: str) -> None:
    score = build_metric(name).measure(side(60, 1), side(60, 1), intervals=True)
    assert np.isfinite(score.value)


@every_metric
def test_a_metric_says_what_its_empty_sides_lack(name: str) -> None:
    assert build_metric(name).lacks(Side(), Side())


@every_metric
def test_a_metric_refuses_what_is_not_finite(name: str) -> None:
    spoilt = side(50, 2)
    assert spoilt.features is not None
    assert spoilt.probabilities is not None
    spoilt.features[7, 3] = np.nan
    spoilt.probabilities[7, 3] = np.nan
    with pytest.raises(InvalidSamples, match="Row 7"):
        build_metric(name).measure(side(60, 1), spoilt)


@every_metric
def test_a_floor_has_a_value_or_a_reason_and_depends_on_nothing_but_the_seed(name: str) -> None:
    metric = build_metric(name)
    for reference in (side(60, 1), side(3, 1), Side()):
        floor = metric.noise_floor(reference, side(50, 2), seed=5)
        assert floor.how
        assert floor == metric.noise_floor(reference, side(50, 2), seed=5)


def test_the_default_metrics_are_metrics() -> None:
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"no metric called 'fidd'; there are fid, fid_infinity, inception_score"):
        build_metric("fidd")


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("mmd", {"sigma": "0"}, "mmd.sigma"),
        ("mmd", {"sigma": "inf"}, "mmd.sigma"),
        ("mmd", {"kernel": "cubic"}, "mmd.kernel"),
        ("mmd", {"bandwidth": "3"}, "mmd.bandwidth"),
        ("inception_score", {"splits": "0"}, "inception_score.splits"),
        ("precision", {"k": "0"}, "precision.k"),
        ("wasserstein", {"largest": "5001"}, "wasserstein.largest"),
        ("mode_score", {"variant": "xu"}, "mode_score.variant"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        build_metric(name, options)
    assert refused.value.errors is not None
    assert [error["field"] for error in refused.value.errors] == [field]


def test_options_are_read_from_the_words_of_a_form() -> None:
    assert build_metric("mmd", {"sigma": "10"}).model_dump()["sigma"] == 10.0
