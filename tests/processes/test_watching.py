from dataclasses import dataclass
from pathlib import Path

import pytest
from processes.supervising import Supervised, supervised
from waiting import eventually

from service.errors import ConfigurationError
from service.processes.lifeline import EXIT_CONFIGURATION, EXIT_UNAVAILABLE
from service.processes.watching import Watch
from service.settings import Settings

SETTINGS = Settings(beat_limit_s=10, start_limit_s=120, forward_limit_s=60, load_limit_s=600)
QUICK = {"beat_s": 0.1, "beat_limit_s": 2.0, "evaluator_beat_limit_s": 2.0}
"""Beats by which a test need not wait long; a loaded machine may be late by twenty of them."""


@dataclass
class Clock:
    """The time as a test says it is."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def reason_of(watch: Watch[str]) -> str | None:
    """Why it is found that `a` hangs, if it is."""
    return next((hang.reason for hang in watch.overdue() if hang.child == "a"), None)


class Looking:
    """A watch over one child, `a`, whose supervisor looks every two seconds."""

    def __init__(self) -> None:
        self._clock = Clock()
        self._watch: Watch[str] = Watch(SETTINGS, self._clock)
        self._watch.begin("a", SETTINGS.beat_limit_s)

    def beat(self, line: bytes = b"[]") -> None:
        self._watch.hear("a", line)

    def sleep(self, seconds: float) -> str | None:
        """Let this process itself be away for so long; what it finds then."""
        self._clock.now += seconds
        return reason_of(self._watch)

    def look(self, seconds: float, line: bytes | None = None) -> str | None:
        """Look for so long, with a beat at every look where a line is given; what is found at the end."""
        found = None
        for _ in range(int(seconds / 2)):
            if line is not None:
                self.beat(line)
            found = self.sleep(2.0)
        return found


def test_a_loop_that_beats_is_alive_and_one_that_stops_is_noticed() -> None:
    looking = Looking()
    assert looking.look(100, b"[]") is None
    assert looking.look(8) is None
    assert looking.look(4) == "its event loop has not turned for 14.0 s"


class Working:
    """A child whose work may keep its loop from turning, and how far it is with that."""

    def __init__(self) -> None:
        self._clock = Clock()
        self.reached: int | None = 0
        self._watch: Watch[str] = Watch(SETTINGS, self._clock)
        self._watch.begin("a", SETTINGS.evaluator_beat_limit_s, lambda: self.reached)
        self._watch.hear("a", b"[]")

    def look(self, seconds: float, *, works: bool = False) -> str | None:
        """Look for so long, while it says nothing; what is found at the end."""
        found = None
        for _ in range(int(seconds / 2)):
            self._clock.now += 2.0
            if works and self.reached is not None:
                self.reached += 1
            found = reason_of(self._watch)
        return found


def test_one_that_computes_may_be_silent_for_long_and_one_that_does_not_may_not() -> None:
    working = Working()
    assert working.look(100, works=True) is None
    assert working.look(10) is None
    found = working.look(2)
    assert found == "its event loop has not turned for 112.0 s, and it has computed nothing for 12.0 s"


def test_one_that_computes_for_ever_hangs_too() -> None:
    working = Working()
    assert working.look(120, works=True) is None
    assert working.look(2, works=True) == "its event loop has not turned for 122.0 s"


class Waiting:
    """A child that says nothing, two of whose threads wait for a core for this share of the time."""

    def __init__(self, *, beats: bool = True, settings: Settings = SETTINGS) -> None:
        self._clock = Clock()
        self._waited = {1: 50.0, 2: 7.0}
        self._watch: Watch[str] = Watch(settings, self._clock)
        self._watch.begin("a", SETTINGS.beat_limit_s, waits=lambda: dict(self._waited))
        if beats:
            self.beat()

    def beat(self, line: bytes = b"[]") -> None:
        self._watch.hear("a", line)

    def look(self, seconds: float, share: float) -> str | None:
        """Look for so long; what is found at the end."""
        found = None
        for _ in range(int(seconds / 2)):
            self._clock.now += 2.0
            self._waited[2] += 2.0 * share
            found = reason_of(self._watch)
        return found


def test_the_time_in_which_a_child_only_waited_for_a_core_is_not_its_own() -> None:
    waiting = Waiting()
    assert waiting.look(44, 0.9) is None
    assert waiting.look(8, 0.0) == "its event loop has not turned for 52.0 s"
    waiting.beat()
    assert waiting.look(10, 0.0) is None
    assert waiting.look(2, 0.0) == "its event loop has not turned for 12.0 s"


def test_a_step_of_which_nothing_is_heard_is_not_held_against_one_that_waits_for_a_core() -> None:
    waiting = Waiting(settings=SETTINGS.model_copy(update={"forward_limit_s": 20.0}))
    waiting.beat(b'[[1, "classify of vgg16", 0.1, "vgg16"]]')
    assert waiting.look(44, 0.9) is None


def test_one_that_only_waits_hangs_in_the_end() -> None:
    waiting = Waiting()
    assert waiting.look(60, 1.0) is None
    assert waiting.look(2, 1.0) == "its event loop has not turned for 62.0 s"


def test_who_finds_no_core_to_begin_with_has_longer_to_begin() -> None:
    waiting = Waiting(beats=False)
    assert waiting.look(240, 0.9) is None
    assert waiting.look(120, 0.0) == "it has not begun in 360.0 s"


def test_where_nobody_can_tell_whether_a_child_computes_it_has_its_whole_time() -> None:
    working = Working()
    working.reached = None
    assert working.look(120) is None
    assert working.look(2) == "its event loop has not turned for 122.0 s"


def test_a_child_has_a_limit_of_its_own_to_begin() -> None:
    looking = Looking()
    assert looking.look(120) is None
    assert looking.look(2) == "it has not begun in 122.0 s"
    looking.beat()
    assert looking.look(10) is None


@pytest.mark.parametrize(
    ("usual", "limit"), [("null", 600), ("0.001", 60), ("3.0", 60), ("7.0", 140)], ids=["never", "fast", "even", "slow"]
)
def test_a_step_may_take_a_minute_and_twenty_times_what_is_usual(usual: str, limit: int) -> None:
    looking = Looking()
    line = f'[[1, "classify of vgg16", {usual}, "vgg16"]]'.encode()
    assert looking.look(limit, line) is None
    assert looking.look(4, line) == f"classify of vgg16 has not ended in {limit + 2:.1f} s"


def test_steps_that_follow_each_other_are_progress() -> None:
    looking = Looking()
    for number in range(200):
        assert looking.look(2, b'[[%d, "classify of vgg16", 0.1, "vgg16"]]' % number) is None


def test_a_gap_in_the_supervisors_own_time_begins_everything_anew() -> None:
    looking = Looking()
    line = b'[[1, "classify of vgg16", 0.1, "vgg16"]]'
    assert looking.look(58, line) is None
    assert looking.sleep(3600) is None
    assert looking.look(10) is None
    looking.beat(line)
    assert looking.look(48, line) is None
    assert looking.look(6, line) == "classify of vgg16 has not ended in 62.0 s"


@pytest.mark.parametrize("line", [b"", b"[[1, ", b"17", b"[[1, 2]]", b'{"a": 1}', b'[["x", "y", null]]'])
def test_half_a_line_is_a_beat(line: bytes) -> None:
    looking = Looking()
    assert looking.look(100, line) is None


def test_what_is_said_of_a_process_that_ended_counts_for_nobody() -> None:
    watch: Watch[str] = Watch(SETTINGS, Clock())
    watch.hear("gone", b"[]")
    assert watch.overdue() == []


async def up(service: Supervised, *devices: str) -> None:
    await eventually(lambda: all(service.sample("device_up", device=device) == 1 for device in devices))


@pytest.mark.parametrize("who", ["front", "engine", "evaluator"])
@pytest.mark.parametrize("how", ["silent", "stuck"])
async def test_whoever_hangs_is_killed_and_another_begins(
    tmp_path: Path, models_dir: Path, sockets: Path, who: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {**QUICK, "forward_limit_s": 0.5}
    reason = "a step has not ended" if how == "stuck" else "its event loop has not turned"
    async with supervised(tmp_path, models_dir, sockets, devices="cpu", **limits) as service:
        name = "cpu" if who == "engine" else who
        await eventually(lambda: service.has_beaten(name))
        service.wish(name, how)
        await eventually(lambda: f"the {who} hangs: {reason}" in caplog.text)
        await eventually(lambda: service.sample("process_restarts_total", role=who))
        service.wish(name, "beat")
        await eventually(lambda: service.sample("processes_up", role=who) == 1)
        await up(service, "cpu")
        assert await service.stop() == 0


async def test_a_child_that_never_begins_is_started_again(
    tmp_path: Path, models_dir: Path, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="cpu", beat_s=0.1, start_limit_s=1.0) as service:
        service.wish("front", "silent")
        await eventually(lambda: "the front hangs: it has not begun" in caplog.text)
        service.wish("front", "beat")
        await eventually(lambda: service.sample("processes_up", role="front") == 1)


async def test_a_device_that_is_lost_is_down_and_tried_again_while_the_others_serve_on(
    tmp_path: Path, models_dir: Path, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="one,other") as service:
        await up(service, "one", "other")
        service.wish("one", str(EXIT_UNAVAILABLE))
        await eventually(lambda: caplog.text.count("one is down; its engine ended with 69") > 1)
        assert service.sample("device_up", device="one") == 0
        assert service.sample("device_up", device="other") == 1
        assert not service.running.done()
        service.wish("one", "beat")
        await up(service, "one")


async def test_a_device_that_is_down_at_the_start_keeps_no_other_from_serving(
    tmp_path: Path, models_dir: Path, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="one,other") as service:
        service.wish("one", str(EXIT_UNAVAILABLE))
        await up(service, "other")
        await eventually(lambda: "one is down" in caplog.text)
        assert await service.stop() == 0


@pytest.mark.parametrize("status", [EXIT_CONFIGURATION, EXIT_UNAVAILABLE])
async def test_a_service_none_of_whose_devices_can_be_opened_ends(
    tmp_path: Path, models_dir: Path, sockets: Path, status: int
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="one,other") as service:
        service.wish("one", str(status))
        service.wish("other", str(status))
        with pytest.raises(ConfigurationError, match="The engine cannot start; its log says why"):
            await service.running


async def test_what_has_lived_may_live_again_whatever_it_says(
    tmp_path: Path, models_dir: Path, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised(tmp_path, models_dir, sockets, devices="one") as service:
        await up(service, "one")
        service.wish("one", str(EXIT_CONFIGURATION))
        await eventually(lambda: caplog.text.count("the engine ended with 78") > 1)
        service.wish("one", "beat")
        await up(service, "one")
