"""What holds for every metric, so that a new line in the registry is tested with nothing written."""

import numpy as np
import pytest

from service.errors import InvalidRequest, InvalidSamples
from service.metrics.metric import Score, Side
from service.metrics.registry import DEFAULT_METRICS, METRICS, build_metric

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
    details = build_metric(name).measure(side(60, 1), side(50, 2)).details
    numbers = {part for part, value in details.items() if not isinstance(value, str)}
    assert numbers == set(METRICS[name].parts)


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
    with pytest.raises(InvalidRequest, match=r"no metric called 'fidd'; there are fid, inception_score, mmd"):
        build_metric("fidd")


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("mmd", {"sigma": "0"}, "mmd.sigma"),
        ("mmd", {"sigma": "inf"}, "mmd.sigma"),
        ("mmd", {"kernel": "cubic"}, "mmd.kernel"),
        ("mmd", {"bandwidth": "3"}, "mmd.bandwidth"),
        ("inception_score", {"splits": "0"}, "inception_score.splits"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        build_metric(name, options)
    assert refused.value.errors is not None
    assert [error["field"] for error in refused.value.errors] == [field]


def test_options_are_read_from_the_words_of_a_form() -> None:
    assert build_metric("mmd", {"sigma": "10"}).model_dump()["sigma"] == 10.0
