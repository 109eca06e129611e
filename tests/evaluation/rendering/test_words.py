import pytest
from evaluation.reporting import BROKEN, HELD, entry, report

from service.evaluation.rendering.words import (
    details_of,
    direction_of,
    floor,
    floor_words,
    headline,
    interval,
    interval_words,
    metric_of,
    number,
    outcome,
    p_value_of,
    plain,
    provenance,
    subject,
    title_of,
)
from service.evaluation.report.schema import Check, Comparison, Extraction, GeneratedSet, ReferenceSet, Report
from service.metrics.registry import METRICS


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (12.3456, "12.35"),
        (0.0140135, "0.01401"),
        (0.001, "0.001000"),
        (-0.5, "−0.5000"),
        (123456.7, "123,457"),
        (0.000158415, "1.584 × 10⁻⁴"),
        (-1.5e-12, "−1.500 × 10⁻¹²"),
        (float("nan"), "unknown"),
    ],
)
def test_a_number_has_its_digits_a_true_minus_and_powers_written_out(value: float, words: str) -> None:
    assert number(value) == words


def test_a_number_that_somebody_chose_stays_as_it_is() -> None:
    assert (plain(30.0), plain(0.6), plain(-1e-9)) == ("30", "0.6", "−1e−09")


@pytest.mark.parametrize(
    ("judged", "sentence"),
    [
        (report(), "Measured, not judged"),
        (report(HELD), "Passed: the check holds"),
        (report(HELD, HELD), "Passed: all 2 checks hold"),
        (report(BROKEN), "Failed: the check does not hold"),
        (report(HELD, BROKEN), "Failed: 1 of 2 checks does not hold"),
        (report(BROKEN, BROKEN), "Failed: 2 of 2 checks do not hold"),
    ],
)
def test_the_headline_is_the_verdict(judged: Report, sentence: str) -> None:
    assert headline(judged) == sentence


def test_the_subject_is_what_was_compared_with_what() -> None:
    assert subject(report()) == "5,000 generated samples against 10,000 of mnist-test, by 84 features of lenet5-mnist"
    sent = report(
        generated=GeneratedSet(count=None, sha256="a"),
        reference=ReferenceSet(count=50, sha256="b"),
        features=Extraction(extractor="caller", dim=3),
    )
    assert subject(sent) == "Statistics against 50 real samples that were sent, by 3 features of the caller's own"
    statistics = report(reference=ReferenceSet(count=None, sha256="b"))
    assert "against statistics that were sent" in subject(statistics)


@pytest.mark.parametrize(
    ("threshold", "metric"),
    [
        ("fid<=30", "fid"),
        ("one_nn.real >0.5", "one_nn"),
        ("kid not worse than 5f3a", "kid"),
        ("fid.interval.high<3", "fid"),
    ],
)
def test_a_check_is_about_the_metric_that_it_begins_with(threshold: str, metric: str) -> None:
    assert metric_of(Check(threshold=threshold, value=1.0, passed=True)) == metric


def test_an_outcome_tells_the_value_from_its_limit() -> None:
    assert outcome(Check(threshold="fid<=30", value=30.0004, passed=False)) == "it is 30.0004"
    assert outcome(Check(threshold="fid.interval.high<=1", value=None, passed=False)) == "the report has no such number"
    compared = Comparison(evaluation="e", value=10.0, difference=2.34, interval=(-0.1, 4.7))
    words = outcome(Check(threshold="fid not worse than e", value=12.34, passed=True, baseline=compared))
    assert words == "it is 12.3400, it was 10.0000: a difference of 2.34 (−0.100 to 4.70)"
    unknown = compared.model_copy(update={"interval": None})
    words = outcome(
        Check(threshold="fid not worse than e", value=12.34, passed=False, outcome="inconclusive", baseline=unknown)
    )
    assert words == "it is 12.3400, it was 10.0000: a difference of 2.34, and nothing tells how much of it is chance"
    doubtful = Check(threshold="fid<=30", value=30.1, passed=False, outcome="inconclusive")
    assert outcome(doubtful) == "it is 30.1000, and its interval lies on both sides"


def test_a_score_is_put_into_words() -> None:
    known, bare = entry(rank=84, p_value=0.005, estimand="x"), entry(interval=None, noise_floor=None)
    assert (interval(known), interval(bare)) == ("11.1 to 13.6", "–")
    assert (floor(known), floor(bare)) == ("1.23", "–")
    assert (floor_words(known), floor_words(entry(noise_floor=None, noise_floor_reason="none"))) == (
        "between halves (30 and 30)",
        "none",
    )
    assert (interval_words(known), interval_words(entry(interval=None, interval_reason="few"))) == ("of x", "few")
    assert dict(details_of(known)) == {"rank": "84"}
    assert (p_value_of(known), p_value_of(bare)) == ("0.0050", None)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_title_and_a_direction(name: str) -> None:
    assert title_of(name)[0].isupper()
    assert direction_of(name) in ("lower is better", "higher is better", "nearer its ideal is better")


def test_a_metric_that_is_not_known_here_keeps_its_name() -> None:
    assert (title_of("new_score"), direction_of("new_score")) == ("New score", "")


def test_the_provenance_names_everything_that_the_numbers_depend_on() -> None:
    facts = dict(provenance(report(reused="old")))
    assert facts["weights"] == f"sha256 {'c' * 64}"
    assert facts["numbers of"] == "old, the same inputs"
    assert (facts["seed"], facts["chapterhouse"], facts["reference features kept"]) == ("7", "0.1.0", "2,000")
    assert facts["time"] == "total 1.75 s, measure 1.50 s, fid 0.25 s"
