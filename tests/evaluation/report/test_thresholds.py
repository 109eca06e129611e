import pytest

from service.errors import InvalidRequest
from service.evaluation.report.schema import MetricEntry, NoiseFloor
from service.evaluation.report.thresholds import EVERY_METRICS_PARTS, apply_thresholds, parse_thresholds
from service.metrics import registry
from service.schemas import Inconclusive

MEASURED = ("fid", "inception_score")


def entry(value: float, **details: float) -> MetricEntry:
    return MetricEntry.model_validate(
        {
            "value": value,
            **details,
            "interval": None,
            "interval_reason": "not estimated",
            "level": 0.95,
            "estimand": None,
            "standard_error": None,
            "generated_error": None,
            "noise_floor": NoiseFloor(value=1.5, sizes=(10, 10), how="between halves"),
            "noise_floor_reason": None,
        }
    )


METRICS = {"fid": entry(30.0), "inception_score": entry(8.0, std=0.25, splits=10)}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("fid<=30", True),
        ("fid<30", False),
        ("fid>=30", True),
        ("fid > 29.99", True),
        ("fid<=3e1", True),
        ("inception_score.std<=0.25,fid<=30", True),
        ("inception_score.std<0.25 , fid<=30", False),
        ("fid.noise_floor<=2", True),
        ("inception_score.splits>=10,", True),
    ],
)
def test_every_threshold_has_to_hold(text: str, passed: bool) -> None:  # noqa: FBT001
    verdict = apply_thresholds(parse_thresholds(text, MEASURED), METRICS)
    assert verdict is not None
    assert verdict.passed is passed


def test_a_verdict_shows_each_check() -> None:
    verdict = apply_thresholds(parse_thresholds("fid<=30,inception_score.std>1", MEASURED), METRICS)
    assert verdict is not None
    assert [(check.threshold, check.value, check.passed) for check in verdict.checks] == [
        ("fid<=30", 30.0, True),
        ("inception_score.std>1", 0.25, False),
    ]


def test_without_thresholds_there_is_no_verdict() -> None:
    assert apply_thresholds(parse_thresholds(" ", MEASURED), METRICS) is None


def test_thresholds_that_hold_no_condition_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="' , ': there is no condition in it"):
        parse_thresholds(" , ", MEASURED)


def test_a_number_that_the_report_does_not_have_fails_its_check() -> None:
    verdict = apply_thresholds(parse_thresholds("fid.interval.high<=1000", MEASURED), METRICS)
    assert verdict is not None
    assert not verdict.passed
    assert verdict.checks[0].value is None


def test_the_ends_of_an_interval_have_names() -> None:
    known = entry(5.0).model_copy(update={"interval": (4.0, 6.0)})
    verdict = apply_thresholds(parse_thresholds("fid.interval.low>=4,fid.interval.high<=6", MEASURED), {"fid": known})
    assert verdict is not None
    assert verdict.passed


def test_a_threshold_may_be_so_many_times_the_floor() -> None:
    known = entry(5.0).model_copy(update={"times_floor": 3.5})
    for text, passed in (("fid.times_floor<=4", True), ("fid.times_floor<=3", False)):
        verdict = apply_thresholds(parse_thresholds(text, MEASURED), {"fid": known})
        assert verdict is not None
        assert verdict.passed is passed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fid", "write it as"),
        ("fid=30", "write it as"),
        ("fid<=", "not a number"),
        ("fid<", "write it as"),
        ("<=30", "write it as"),
        ("FID<=30", "write it as"),
        ("fid<=abc", "not a number"),
        ("fid<=nan", "not a number"),
        ("fid<=inf", "not a number"),
        ("fidd<=30", "no metric 'fidd'"),
        ("mmd<=30", "mmd is not among"),
        ("fid.sdt<=30", "fid has no part 'sdt'"),
        ("fid.value<=30", "fid has no part 'value'"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_measured(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        parse_thresholds(text, MEASURED)


def test_every_wrong_threshold_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_thresholds("fidd<=30,fid<=30,fid.sdt>1", MEASURED)
    assert refused.value.errors is not None
    assert [error["message"].split(":")[0] for error in refused.value.errors] == ["'fidd<=30'", "'fid.sdt>1'"]


def sure_to_a_tenth(value: float) -> MetricEntry:
    return entry(value).model_copy(update={"interval": (0.9 * value, 1.1 * value), "interval_reason": None})


@pytest.mark.parametrize(
    ("limit", "asked", "passed", "outcome"),
    [
        (13.0, None, True, "inconclusive"),
        (12.0, None, False, "inconclusive"),
        (12.0, "pass", True, "inconclusive"),
        (13.0, "fail", False, "inconclusive"),
        (20.0, "fail", True, "passed"),
        (1.0, "pass", False, "failed"),
    ],
)
def test_a_threshold_inside_the_interval_is_inconclusive(
    limit: float, asked: Inconclusive | None, outcome: str, *, passed: bool
) -> None:
    metrics = {"fid": sure_to_a_tenth(12.3456)}
    verdict = apply_thresholds(parse_thresholds(f"fid<={limit}", metrics), metrics, inconclusive=asked)
    assert verdict is not None
    assert (verdict.passed, verdict.outcome) == (passed, outcome)
    assert [check.outcome for check in verdict.checks] == [outcome]


def test_one_sure_failure_is_a_failure() -> None:
    metrics = {"fid": sure_to_a_tenth(12.3456), "kid": sure_to_a_tenth(5.0)}
    verdict = apply_thresholds(parse_thresholds("fid<=12,kid<=1", metrics), metrics)
    assert verdict is not None
    assert verdict.outcome == "failed"


def test_a_refusal_says_of_each_threshold_what_is_wrong_and_what_there_is() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_thresholds("fid,fidd<=30,fid.sdt>1", MEASURED)
    messages = [
        "'fid': write it as metric<=30, metric.part>=0.5, with one of <=, <, >=, >",
        f"'fidd<=30': there is no metric 'fidd' (did you mean 'fid'?); there are {', '.join(registry.METRICS)}",
        "'fid.sdt>1': fid has no part 'sdt'; it has "
        + ", ".join((*registry.METRICS["fid"].about.parts, *EVERY_METRICS_PARTS)),
    ]
    assert refused.value.errors == [{"field": "thresholds", "message": message} for message in messages]
    assert refused.value.detail == "; ".join(messages) + "."


@pytest.mark.parametrize("text", ["f" * 150, "," * 150])
def test_a_refusal_repeats_a_hundred_letters_at_most(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_thresholds(text, MEASURED)
    assert refused.value.errors is not None
    [error] = refused.value.errors
    assert error["field"] == "thresholds"
    assert error["message"].startswith(f"{text[:100]!r}: ")
