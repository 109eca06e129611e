from xml.etree.ElementTree import Element, fromstring

import pytest
from evaluation.reporting import BROKEN, HELD, NASTY, report

from service.evaluation.rendering.junit import render_junit
from service.evaluation.report.schema import Report


def parsed(judged: Report) -> Element:
    text = render_junit(judged)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    return fromstring(text.encode())


def only(found: list[Element]) -> Element:
    [element] = found
    return element


def test_every_check_is_a_test_and_a_failure_names_value_and_limit() -> None:
    suites = parsed(report(HELD, BROKEN))
    suite = only(suites.findall("testsuite"))
    for element in (suites, suite):
        counted = [element.get(name) for name in ("tests", "failures", "errors", "skipped", "time")]
        assert counted == ["2", "1", "0", "0", "1.750"]
    cases = [(case.get("classname"), case.get("name"), case.get("time")) for case in suite.findall("testcase")]
    assert cases == [("chapterhouse.fid", "fid<=30", "0.250"), ("chapterhouse.kid", "kid<0.01", "0.000")]
    failure = only(suite.findall("testcase/failure"))
    assert failure.get("message") == failure.text == "kid<0.01 does not hold: it is 0.0140135"


def test_without_thresholds_one_test_passes() -> None:
    suite = only(parsed(report()).findall("testsuite"))
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert only(suite.findall("testcase")).get("name") == "measured"


def test_the_scores_are_properties_to_their_last_digit_each_name_once() -> None:
    properties = [(found.get("name"), found.get("value")) for found in parsed(report()).iter("property")]
    values = dict(properties)
    assert len(values) == len(properties)
    assert (values["fid"], values["kid"]) == ("12.3456", "0.0140135")
    assert float(values["fid.interval.low"] or 0) == pytest.approx(12.3456 * 0.9)
    assert "kid.interval.low" not in values
    assert values["reference"] == "mnist-test (mnist test)"


def test_what_xml_cannot_hold_is_replaced() -> None:
    out = parsed(report(warnings=(NASTY, "a\x00b\x1b\ud800c"))).findtext(".//system-out") or ""
    assert NASTY.replace("\n", "") in out.replace("\n", "")
    assert "a\ufffdb\ufffd\ufffdc" in out
