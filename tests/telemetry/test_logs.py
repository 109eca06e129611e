import logging

from service.telemetry.logs import NowAndThen


def test_a_line_is_repeated_once_a_minute_with_how_often_it_was_kept_back() -> None:
    moments = iter([0.0, 1.0, 59.0, 61.0, 62.0, 200.0])
    quiet = NowAndThen(clock=lambda: next(moments))
    written = []
    for number in range(6):
        record = logging.LogRecord("a", logging.WARNING, "", 0, "caller %d", (number,), None)
        if quiet.filter(record):
            written.append(record.getMessage())
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
