import threading

import pytest
from waiting import PATIENCE_S

from service.runtime.steps import Steps


def test_of_steps_inside_each_other_the_last_is_told_and_the_outer_begins_anew() -> None:
    steps = Steps()
    with steps.at("long", 7.0, "echo"):
        [(first, *_)] = steps.open()
        with steps.at("short"):
            [(_, what, usual_s, _)] = steps.open()
            assert (what, usual_s) == ("short", None)
        [(again, what, usual_s, model_id)] = steps.open()
        assert (what, usual_s, model_id) == ("long", 7.0, "echo")
        assert again != first  # while others had its thread it was not its turn
        steps.renew()
        [(after_a_pause, *_)] = steps.open()
        assert after_a_pause != again
    assert steps.open() == []
    steps.renew()
    assert steps.open() == []


def test_every_thread_has_steps_of_its_own() -> None:
    steps = Steps()
    entered, over = threading.Event(), threading.Event()

    def other() -> None:
        with steps.at("loading"):
            entered.set()
            over.wait(PATIENCE_S)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(PATIENCE_S)
    with steps.at("classify"):
        assert sorted(what for _, what, *_ in steps.open()) == ["classify", "loading"]
    assert [what for _, what, *_ in steps.open()] == ["loading"]
    over.set()
    thread.join(PATIENCE_S)
    assert steps.open() == []


def test_a_step_that_raises_is_over() -> None:
    steps = Steps()
    with pytest.raises(ArithmeticError), steps.at("classify"):
        raise ArithmeticError
    assert steps.open() == []


def test_the_time_of_steps_that_have_ended_is_added_up_and_those_inside_others_count_once() -> None:
    steps = Steps()
    with steps.at("outer"):
        with steps.at("inner"):
            pass
        assert steps.busy_s == 0.0
    once = steps.busy_s
    assert once > 0.0
    with steps.at("another"):
        pass
    assert steps.busy_s > once
