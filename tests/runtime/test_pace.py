import pytest

from service.runtime.pace import LEAST_S, MOST_S, Pace


class Clock:
    """The time as a test says it is."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def worked_off(pace: Pace, clock: Clock, *batches: tuple[int, float]) -> Pace:
    """A queue that is never empty, of which so many rows went every so many seconds."""
    for rows, seconds in batches:
        pace.leave(rows, staying=100)
        clock.now += seconds
    pace.leave(1, staying=100)
    return pace


def test_room_is_there_when_what_waits_is_worked_off() -> None:
    pace = worked_off(Pace(clock := Clock()), clock, *[(4, 0.02)] * 5)
    assert pace.wait_s(1024) == pytest.approx(5.12)
    assert pace.wait_s(40) == pytest.approx(0.2)


def test_it_follows_a_queue_that_becomes_slower() -> None:
    pace = worked_off(Pace(clock := Clock()), clock, *[(4, 0.02)] * 5, *[(4, 0.2)] * 30)
    assert pace.wait_s(100) == pytest.approx(5.0, rel=0.01)


def test_a_batch_that_takes_longer_than_usual_counts_at_once() -> None:
    pace = worked_off(Pace(clock := Clock()), clock, *[(4, 0.02)] * 5)
    clock.now += 3.0
    assert pace.wait_s(10) == pytest.approx(30.0)


def test_a_time_in_which_nobody_waited_says_nothing_of_its_speed() -> None:
    pace = worked_off(Pace(clock := Clock()), clock, *[(4, 0.02)] * 5)
    pace.leave(1, staying=0)
    clock.now += 3600
    pace.leave(1, staying=10)
    assert pace.wait_s(100) == pytest.approx(0.4, rel=0.3)


def test_nobody_comes_again_at_once_or_is_sent_away_for_ever() -> None:
    assert Pace().wait_s(1000) == LEAST_S
    pace = worked_off(Pace(clock := Clock()), clock, (1, 30.0))
    assert pace.wait_s(1000) == MOST_S
