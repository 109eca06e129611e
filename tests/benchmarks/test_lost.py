"""What the program that loses a card counts as a fault."""

from collections import Counter

import pytest

from benchmarks.load.steady import Tally
from benchmarks.lost import CARDS, PHASES, STATUS, Phase, Report, cards_up

METRICS = b"""# TYPE chapterhouse_device_up gauge
chapterhouse_device_up{device="cpu"} 1.0
chapterhouse_device_up{device="simulated:0"} 1.0
chapterhouse_device_up{device="simulated:1"} 0.0
chapterhouse_device_up{device="simulated:2"} 1.0
"""


def report(fewest: tuple[int, ...] = (3, 2, 3), tally: Tally | None = None) -> Report:
    phases = (Phase(2.0, 100, 20.0, {path: Counter({200: 4}) for path in STATUS}, up) for up in fewest)
    return Report(dict(zip(PHASES, phases, strict=True)), tally or Tally())


def test_the_cards_that_the_metrics_call_up_are_counted() -> None:
    assert cards_up(METRICS) == 2
    assert cards_up(METRICS.replace(b"0.0", b"1.0")) == len(CARDS)


def test_a_card_that_is_lost_and_comes_back_while_all_is_answered_is_no_fault() -> None:
    lines = report().lines()
    assert report().faults() == []
    assert "| cards up, the fewest | 3 | 2 | 3 |" in lines
    assert "| `/metrics` answered 200 | 4 of 4 | 4 of 4 | 4 of 4 |" in lines
    assert lines[-1] == "asked again: none; never answered: 0; wrong: 0"


@pytest.mark.parametrize("fewest", [(3, 3, 3), (3, 1, 3), (3, 2, 2)])
def test_another_number_of_cards_than_the_one_that_was_lost_leaves_is_a_fault(fewest: tuple[int, ...]) -> None:
    assert report(fewest).faults() == [f"the metrics called {list(fewest)} cards up at the least"]


def test_an_answer_that_is_wrong_or_never_comes_is_a_fault_and_so_is_a_status_that_is_not_told() -> None:
    found = report(tally=Tally(unanswered=["GET /"], wrong=["500: no"]))
    found.phases["after"].said["/health/ready"][503] += 2
    assert found.faults() == ["never answered: GET /", "wrong: 500: no", "after: /health/ready answered 503, 2 times"]
