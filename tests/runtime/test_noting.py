import logging
import time
from typing import Any

import numpy as np
import pytest

from service.errors import ModelFailed
from service.runtime import noting
from service.runtime.bunches import Bunch
from service.runtime.calls import Call, Lane
from service.runtime.noting import Noting
from service.runtime.queues import Batch, Share
from service.runtime.work import Work
from service.settings import Settings
from service.telemetry.instruments import Instruments
from service.telemetry.traces import NoTracer


class Keeping:
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str, dict[str, Any]]] = []

    def part(self, request_id: str, name: str, seconds: float, ended_s: float = 0.0, **attributes: object) -> None:
        """Keep it."""
        assert seconds >= 0
        assert ended_s >= 0
        self.parts.append((request_id, name, attributes))

    def request(self, request_id: str, name: str, seconds: float, **attributes: object) -> None:
        """An engine has no requests."""

    def flush(self) -> None:
        """Nothing is sent."""


def work(waited_s: float | None = 0.0) -> Work:
    pixels = np.zeros((2, 4, 4, 1), np.uint8)
    made = Work(Call("echo", "classify"), [pixels], 2, Lane.INTERACTIVE, None, "build-4711", lambda _: None)
    made.waited_s = waited_s
    return made


def bunch(*, waited_s: float) -> Bunch:
    """Three images that came together, so long ago, and went to the device together."""
    pixels = [np.zeros((3, 4, 4, 1), np.uint8)]
    made = Bunch.of(
        Call("echo", "classify"),
        pixels,
        ["a", "b", "c"],
        answer_of=lambda *_: lambda _: None,
        answer_rows=lambda *_: True,
    )
    made.arrived -= waited_s
    made.taken = 3
    made.begin(0, 3, time.monotonic())
    return made


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == noting.__name__]  # type: ignore[attr-defined]


def noting_of(**given: object) -> Noting:
    settings = Settings(**{"slow_request_s": 60.0, **given})  # type: ignore[arg-type]
    return Noting.of(settings, Instruments(), "cpu", NoTracer())


def test_what_was_answered_well_and_soon_is_counted_and_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    note = noting_of()
    note(work(), [])
    assert fields(caplog) == []
    count = note.instruments.registry.get_sample_value("chapterhouse_batch_seconds_count", {"model": "echo"})
    assert count == 1


def test_what_came_together_and_was_answered_well_and_soon_is_counted_each(caplog: pytest.LogCaptureFixture) -> None:
    note = noting_of()
    assert note.together(bunch(waited_s=0.0), 0, 3)
    assert fields(caplog) == []
    assert note.instruments.registry.get_sample_value("chapterhouse_batch_seconds_count", {"model": "echo"}) == 3


@pytest.mark.parametrize("given", [{"log_requests": "all"}, {"slow_request_s": 1.0}])
def test_of_what_came_together_each_is_noted_by_itself_where_there_is_something_to_say(
    given: dict[str, object],
) -> None:
    note = noting_of(**given)
    assert not note.together(bunch(waited_s=2.0), 0, 3)
    assert note.instruments.registry.get_sample_value("chapterhouse_batch_seconds_count", {"model": "echo"}) is None


def test_what_is_traced_is_noted_by_itself() -> None:
    note = Noting.of(Settings(), Instruments(), "cpu", Keeping())
    assert not note.together(bunch(waited_s=0.0), 0, 3)


def test_slow_and_failed_work_has_the_requests_id_and_where_its_time_went(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    noting_of(slow_request_s=1e-9)(work(), [])
    noting_of()(work(None), ModelFailed("echo raised ArithmeticError on this input."))
    slow, failed = fields(caplog)
    assert (slow["request"], slow["model"], slow["device"], slow["rows"]) == ("build-4711", "echo", "cpu", 2)
    assert slow["ms"] == pytest.approx(slow["wait_ms"] + slow["work_ms"], abs=0.2)
    assert failed["error"].startswith("ModelFailed: echo raised")
    assert "traceback" in failed["advice"]
    assert "wait_ms" not in failed  # it never came to a device


def test_every_piece_of_work_has_a_line_where_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    note = noting_of(log_requests="all")
    for _ in range(70):
        note(work(), [])
    assert len(fields(caplog)) == 70


def test_its_spans_are_the_queue_the_batch_and_the_device() -> None:
    tracer = Keeping()
    done = work()
    for seconds in (0.0, 1e-6):
        Batch(done.call, [Share(done, 0, 1)], 1).end(seconds, time.monotonic())
    Noting.of(Settings(), Instruments(), "cpu", tracer)(done, [])
    assert [(request, name) for request, name, _ in tracer.parts] == [
        ("build-4711", "queue"),
        ("build-4711", "batch"),
        ("build-4711", "device"),
    ]
    assert tracer.parts[0][2] == {"model": "echo", "verb": "classify", "rows": 2, "device": "cpu"}


def test_what_never_came_back_from_the_device_has_no_span_of_it() -> None:
    tracer = Keeping()
    Noting.of(Settings(), Instruments(), "cpu", tracer)(work(), ModelFailed("echo raised ArithmeticError."))
    assert [name for _, name, _ in tracer.parts] == ["queue", "batch"]
