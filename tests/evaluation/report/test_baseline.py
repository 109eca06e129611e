import pytest

from service.errors import NotComparable
from service.evaluation.report.baseline import check_extractor, check_options, check_reference, compare, unlike
from service.evaluation.report.schema import Extraction, GeneratedSet, MetricEntry, ReferenceSet, Report

OPTIONS = {"fid": {}, "precision": {"k": 5}}


def entry(value: float, error: float | None = None) -> MetricEntry:
    return MetricEntry(
        value=value,
        interval=None,
        interval_reason="none",
        level=0.95,
        estimand=None,
        standard_error=None,
        generated_error=error,
        noise_floor=None,
        noise_floor_reason="none",
    )


def report(**metrics: MetricEntry) -> Report:
    return Report(
        id="main",
        seed=0,
        generated=GeneratedSet(count=9, sha256="g"),
        reference=ReferenceSet(name="mnist-test", count=9, sha256="r" * 64),
        features=Extraction(extractor="lenet5", weights_sha256="w" * 64, dim=3),
        metrics=metrics,
        options=OPTIONS,
        versions={"numpy": "2.0"},
    )


@pytest.mark.parametrize(
    ("metric", "then", "now", "passed"),
    [
        ("fid", entry(10, 0.3), entry(9, 0.4), True),
        ("fid", entry(10, 0.3), entry(10.9, 0.4), True),
        ("fid", entry(10, 0.3), entry(11.1, 0.4), False),
        ("precision", entry(0.8, 0.03), entry(0.9, 0.04), True),
        ("precision", entry(0.8, 0.03), entry(0.71, 0.04), True),
        ("precision", entry(0.8, 0.03), entry(0.69, 0.04), False),
    ],
)
def test_a_metric_is_worse_where_the_whole_interval_of_the_difference_is(
    metric: str,
    then: MetricEntry,
    now: MetricEntry,
    passed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    [check] = compare(report(**{metric: then}), {metric: now})
    assert check.passed is passed
    assert check.threshold == f"{metric} not worse than main"
    assert check.value == now.value
    assert check.baseline is not None
    assert check.baseline.interval is not None
    assert (check.baseline.evaluation, check.baseline.value) == ("main", then.value)
    low, high = check.baseline.interval
    assert high - low == pytest.approx(2 * 1.96 * (0.3 if metric == "fid" else 0.03) * 5 / 3, rel=1e-4)
    assert (low + high) / 2 == pytest.approx(check.baseline.difference)


@pytest.mark.parametrize(
    ("then", "now", "passed"),
    [(0.55, 0.51, True), (0.55, 0.46, True), (0.55, 0.40, False), (0.45, 0.60, False), (0.2, 0.75, True)],
)
def test_a_classifier_that_is_wrong_too_often_is_as_bad_as_one_that_is_right(
    then: float,
    now: float,
    passed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    for ideal in ({}, {"ideal": 0.5}):
        earlier, current = (entry(value, 0.01).model_copy(update=ideal) for value in (then, now))
        [check] = compare(report(one_nn=earlier), {"one_nn": current})
        assert check.passed is passed
        assert check.baseline is not None
        assert check.baseline.difference == pytest.approx(now - then)


@pytest.mark.parametrize(
    ("now", "outcome"), [(9.9, "passed"), (10.0, "passed"), (10 + 1e-10, "passed"), (10.01, "inconclusive")]
)
def test_without_errors_a_step_to_the_worse_side_is_inconclusive_and_its_value_fails(now: float, outcome: str) -> None:
    for said, counts in ((None, False), ("fail", False), ("pass", True)):
        [check] = compare(report(fid=entry(10.0)), {"fid": entry(now)}, inconclusive=said)  # type: ignore[arg-type]
        assert check.outcome == outcome
        assert check.passed is (counts or outcome == "passed")
        assert check.baseline is not None
        assert check.baseline.interval is None


@pytest.mark.parametrize(("now", "passed"), [(9.0, True), (10.9, True), (11.3, True), (11.5, False)])
def test_one_error_is_taken_for_both_scores_so_that_a_set_without_is_not_red_by_chance(
    now: float,
    passed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    for then, current in ((entry(10.0), entry(now, 0.5)), (entry(10.0, 0.5), entry(now))):
        [check] = compare(report(fid=then), {"fid": current})
        assert check.passed is passed
        assert check.outcome == ("passed" if passed else "failed")
        assert check.baseline is not None
        assert check.baseline.interval is not None
        low, high = check.baseline.interval
        assert high - low == pytest.approx(2 * 1.96 * 0.5 * 2**0.5, rel=1e-4)


def test_what_is_not_compared_and_other_versions_are_said() -> None:
    earlier = report(fid=entry(1.0))
    assert [check.threshold for check in compare(earlier, {"fid": entry(1.0), "kid": entry(0.0)})] == [
        "fid not worse than main"
    ]
    assert unlike(earlier, ["fid", "kid"], {"numpy": "2.1"}) == (
        "baseline: kid is not compared; main does not have it.",
        "baseline: main was computed with numpy 2.0, this with 2.1.",
    )
    assert unlike(earlier, ["fid"], {"numpy": "2.0"}) == ()


def test_what_was_measured_otherwise_is_not_compared() -> None:
    earlier = report(fid=entry(1.0), precision=entry(0.5))
    check_options(earlier, {"fid": {}, "kid": {"degree": 3}}, 0)
    check_reference(earlier, "r" * 64, None)
    check_extractor(earlier, "lenet5", "w" * 64)
    with pytest.raises(NotComparable, match="has none of these metrics; it has fid, precision"):
        check_options(earlier, {"kid": {}}, 0)
    with pytest.raises(NotComparable, match="with the seed 0, not 1"):
        check_options(earlier, {"fid": {}}, 1)
    with pytest.raises(NotComparable, match="computed precision with k 5, not k 3"):
        check_options(earlier, {"precision": {"k": 3}}, 0)
    with pytest.raises(NotComparable, match=r"compared with mnist-test \(sha256 rrrr.*a reference that was sent"):
        check_reference(earlier, "s" * 64, None)
    with pytest.raises(NotComparable, match=r"lenet5 \(weights wwww.*not with caller"):
        check_extractor(earlier, "caller", None)


def test_a_comparison_of_nothing_is_refused_and_what_is_left_out_is_said() -> None:
    baseline = report(fid=entry(10), kid=entry(1))
    with pytest.raises(NotComparable, match=r"has fid, kid; of these samples precision"):
        compare(baseline, {"precision": entry(0.5)})
    assert unlike(baseline, ["fid"], baseline.versions) == ("baseline: kid is not compared; it was not measured here.",)
