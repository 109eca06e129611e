"""What holds for every metric, so that a new line in the registry is tested with nothing written."""

import re
from pathlib import Path

import numpy as np
import pytest
from registering import classes_in, file_of, left_out

from service import metrics
from service.errors import InvalidRequest, InvalidSamples
from service.metrics.metric import NOT_ASKED, About, Metric, Need, Score, Side
from service.metrics.registry import DEFAULT_METRICS, METRICS, build_metric
from service.metrics.statistics import Statistics
from service.metrics.uncertainty import Interval

HERE = Path(__file__).parent
every_metric = pytest.mark.parametrize("name", METRICS)


def side(n: int, seed: int) -> Side:
    rng = np.random.default_rng(seed)
    return Side(features=rng.standard_normal((n, 6)), probabilities=rng.dirichlet(np.ones(4), n))


def test_every_metric_is_in_the_registry() -> None:
    assert not (told := left_out(classes_in(metrics, Metric), METRICS, "METRICS")), told


@every_metric
def test_a_metric_says_what_has_to_be_known_before_it_is_chosen(name: str) -> None:
    metric = METRICS[name]
    where = f"{file_of(metric)}: {metric.__name__}"
    about = getattr(metric, "about", None)
    assert isinstance(about, About), f"{where} says nothing about itself; give it an `about = About(...)` as FID has"
    assert metric.__doc__, f"{where} has no docstring; its first line is what the metric measures"
    for told, words in (("samples", about.samples), ("use", about.use)):
        assert re.search(r"\w.*\.$", words), f"{where}: `{told}` of its `about` should be a sentence or more"
    for option, field in metric.model_fields.items():
        assert field.description, f"{where}: the option {option} has no description; write Field(..., description=...)"


@every_metric
def test_a_metric_has_a_test_of_its_own_truth(name: str) -> None:
    words = rf"\b({METRICS[name].__name__}|{name})\b"
    tests = [path for path in HERE.glob("test_*.py") if path.name != Path(__file__).name]
    assert any(re.search(words, path.read_text("utf-8")) for path in tests), (
        f"no test beside this one names {name}; write tests/metrics/test_{name}.py with values that were computed by "
        "hand or by somebody else's program"
    )


def bare(need: Need | None) -> Side:
    """A side that holds what a metric says it needs and nothing else."""
    whole = side(60, 1)
    if need is None:
        return Side()
    if need == "probabilities":
        return Side(probabilities=whole.probabilities)
    return Side(features=whole.features)


@every_metric
def test_a_metric_needs_what_it_says_and_no_more(name: str) -> None:
    metric, about = build_metric(name), METRICS[name].about
    real, generated = bare(about.reference), bare(about.generated)
    assert metric.lacks(real, generated) is None
    assert np.isfinite(metric.measure(real, generated).value)
    assert metric.lacks(real, Side())
    assert bool(metric.lacks(Side(), generated)) == (about.reference is not None)
    statistics = Side(statistics=Statistics(np.zeros(6), np.eye(6), 60))
    assert (metric.lacks(statistics, generated) is None) == (about.reference in (None, "features or statistics"))
    assert (metric.lacks(real, statistics) is None) == (about.generated == "features or statistics")


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
    about, numbers = METRICS[name].about, {part for part, value in details.items() if not isinstance(value, str)}
    assert numbers == set(about.parts), "`parts` of a metric's `about` are the numbers among the details of its score"
    assert details.keys() - numbers == set(about.words), "`words` are the details of its score that are no numbers"


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


def test_an_option_that_is_none_and_one_out_of_range_are_named() -> None:
    with pytest.raises(
        InvalidRequest, match=r"mmd\.permutations: .*19; mmd\.sigm: there is no such option; mmd has ker"
    ):
        build_metric("mmd", {"permutations": 3, "sigm": 1})
    with pytest.raises(InvalidRequest, match=r"fid\.k: there is no such option; fid has none"):
        build_metric("fid", {"k": 1})
