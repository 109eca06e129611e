import logging
from typing import Any

import pytest

from service.errors import DiskFull, UnreadableArchive
from service.evaluation import telling
from service.evaluation.queue.jobs import REQUEST_ID, Job
from service.evaluation.stages import timed
from service.evaluation.telling import End, Telling
from service.telemetry.instruments import Instruments
from service.telemetry.traces import NoTracer

JOB = Job(
    "a", "evaluation", "running", {"seed": 1, REQUEST_ID: "build-4711"}, 0.0, 0.0, None, 1, 0.0, None, None, "me", "ci"
)
REPORT = {
    "verdict": {"outcome": "inconclusive"},
    "timing": {"total": 3.0, "read_generated": 0.5, "measure": 2.0, "fid": 1.0},
}


class Keeping(NoTracer):
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str]] = []

    def part(self, request_id: str, name: str, *_: object, **__: object) -> None:
        """Keep it."""
        self.parts.append((request_id, name))


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == telling.__name__]  # type: ignore[attr-defined]


def test_a_beginning_and_an_end_have_the_id_of_the_request_that_brought_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = Telling(Instruments())
    told.begun(JOB)
    told.ended(JOB, End("finished", REPORT), 3.0)
    begun, ended = fields(caplog)
    assert (begun["evaluation"], begun["request"], begun["key"], begun["attempt"]) == ("a", "build-4711", "ci", 1)
    assert (ended["request"], ended["status"], ended["verdict"], ended["s"]) == (
        "build-4711",
        "finished",
        "inconclusive",
        3,
    )
    assert (ended["read_generated_s"], ended["measure_s"]) == (0.5, 2.0)
    assert "fid_s" not in ended


def test_a_failure_says_why_and_what_an_operator_can_do(caplog: pytest.LogCaptureFixture) -> None:
    Telling(Instruments()).ended(JOB, End("failed", error=DiskFull("There was no room left.")), 1.0)
    [line] = fields(caplog)
    assert (line["status"], line["error"]) == ("failed", "DiskFull: There was no room left.")
    assert "make room" in line["advice"]
    assert "verdict" not in line


@pytest.mark.parametrize(
    ("end", "outcome", "reason"),
    [
        (End("finished", REPORT), "inconclusive", "none"),
        (End("finished", {"verdict": None}), "unjudged", "none"),
        (End("failed", error=DiskFull("Full.")), "failed", "DiskFull"),
        (End("cancelled", error=DiskFull("Full.")), "cancelled", "none"),
    ],
)
def test_an_end_is_counted_by_its_outcome_and_reason(end: End, outcome: str, reason: str) -> None:
    instruments = Instruments()
    Telling(instruments).ended(JOB, end, 1.0)
    count = instruments.registry.get_sample_value
    assert count("chapterhouse_evaluation_outcomes_total", {"outcome": outcome, "reason": reason}) == 1
    assert count("chapterhouse_evaluations_total", {"status": end.status}) == 1


def test_stages_are_traced_as_they_end_under_the_requests_id() -> None:
    tracer, seconds = Keeping(), dict[str, float]()
    told = Telling(Instruments(), tracer)
    told.begun(JOB)
    with timed(seconds, "measure"):
        pass
    told.ended(JOB, End("finished", REPORT), 3.0)
    assert tracer.parts == [("build-4711", "measure"), ("build-4711", "evaluation")]
    assert seconds["measure"] >= 0


def test_what_was_asked_does_not_hold_the_id() -> None:
    assert JOB.asked == {"seed": 1}
    assert JOB.request_id == "build-4711"


def test_no_line_says_what_a_callers_file_is_called(caplog: pytest.LogCaptureFixture) -> None:
    names = ["'jane\\'s scan.png'", '"jane\'s scan.png"', "'jane's scan.png"]
    for name in names:
        error = UnreadableArchive(f"generated: {name} is damaged. The zip file's end is missing.")
        Telling(Instruments()).ended(JOB, End("failed", error=error), 1.0)
    told = [line["error"] for line in fields(caplog)]
    assert told[:2] == ["UnreadableArchive: generated: '…' is damaged. The zip file's end is missing."] * 2
    assert "jane" not in told[2]
