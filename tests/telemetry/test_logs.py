import json
import logging

import pytest

from service.telemetry.logs import Allowance, AsJson, Discreet, NowAndThen, plain, told


def record(text: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("service.api", logging.WARNING, "", 0, text, arguments, None)
    vars(made).update(told(**fields))
    return made


def test_a_line_of_text_has_what_belongs_to_it_behind_its_sentence() -> None:
    line = Discreet("%(levelname)s %(message)s").format(record("%s failed", "POST", status=500, error="a b", left=None))
    assert line == 'WARNING POST failed status=500 error="a b"'


def test_a_line_of_json_is_one_object_with_the_same() -> None:
    line = AsJson("front").format(record("%s failed", "POST", status=500, request="r1"))
    assert "\n" not in line
    told_of = json.loads(line)
    assert (told_of["level"], told_of["role"], told_of["message"]) == ("warning", "front", "POST failed")
    assert (told_of["status"], told_of["request"]) == (500, "r1")
    assert told_of["time"].endswith("Z")


def test_no_caller_writes_what_would_be_read_as_a_field_of_its_own() -> None:
    forged = plain('a" status=200 key="root')
    line = Discreet("%(message)s").format(record("failed", request=forged, path="a=b\\", status=401))
    assert line == r'failed request="a\" status=200 key=\"root" path="a=b\\" status=401'


@pytest.mark.parametrize("form", [AsJson("front"), Discreet("%(message)s")])
def test_no_form_of_a_line_tells_a_password(form: logging.Formatter) -> None:
    made = record("cannot reach postgresql://me:secret@host/house", place="here")
    made.exc_info = (ValueError, ValueError("postgresql://me:secret@host/house"), None)
    line = form.format(made)
    assert "secret" not in line
    assert "ValueError" in line


def test_what_a_caller_wrote_stays_on_its_line() -> None:
    assert plain("a\nb\x1b[31m" + 300 * "c") == "a\\nb\\x1b[31m" + 192 * "c"
    assert plain("café … \u202e\ud800") == r"café … \u202e\ud800"


def test_so_many_lines_are_written_at_once_and_then_so_many_a_second() -> None:
    now = [0.0]
    allowance = Allowance(2, 1, clock=lambda: now[0])
    assert [allowance.take() for _ in range(4)] == [0, 0, None, None]
    now[0] = 1.0
    assert [allowance.take() for _ in range(2)] == [2, None]  # the two that were kept back are told
    now[0] = 100.0
    assert [allowance.take() for _ in range(3)] == [1, 0, None]


def test_a_line_is_repeated_once_a_minute_with_how_often_it_was_kept_back() -> None:
    moments = iter([0.0, 1.0, 59.0, 61.0, 62.0, 200.0])
    quiet = NowAndThen(clock=lambda: next(moments))
    written = []
    for number in range(6):
        made = record("caller %d", number)
        if quiet.filter(made):
            written.append(made.getMessage())
    assert written == [
        "caller 0",
        "caller 3 (and 2 times more since this was last said)",
        "caller 5 (and 1 times more since this was last said)",
    ]


def test_another_line_and_a_failure_are_written_at_once() -> None:
    quiet = NowAndThen(clock=lambda: 0.0)
    failed = (ValueError, ValueError("broken"), None)
    for text, failure, passes in (("a", None, True), ("b", None, True), ("a", None, False), ("a", failed, True)):
        assert quiet.filter(logging.LogRecord("x", logging.ERROR, "", 0, text, (), failure)) is passes
