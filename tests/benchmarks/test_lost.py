"""What the programs that fail on purpose count as a fault, and that they fail as they should."""

import asyncio
from collections import Counter

import pytest

from benchmarks import failures
from benchmarks.failures import Reading
from benchmarks.load.losing import LOSS
from benchmarks.load.steady import Tally
from benchmarks.lost import LOSSES, PHASES, STATUS, Phase, Report, Shown, sample
from service.processes.lifeline import END

METRICS = b"""# TYPE chapterhouse_device_up gauge
chapterhouse_device_up{device="cpu"} 1.0
chapterhouse_device_up{device="simulated:1"} 0.0
chapterhouse_device_up_else{device="simulated:1"} 1.0
chapterhouse_model_loaded{device="simulated:0",model="echo",version="1"} 1.0
chapterhouse_model_loaded{device="simulated:1",model="echo",version="1"} 1.0
chapterhouse_model_loaded{device="simulated:1",model="slow",version="1"} 1.0
chapterhouse_disk_free_bytes 1.5e+03
chapterhouse_process_restarts_total{role="engine"} 2.0
"""


def report(fewest: tuple[int, ...] = (3, 2, 3, 2, 3), tally: Tally | None = None) -> Report:
    phases = (
        Phase(2.0, 100, 1, 20.0, {path: Counter({200: 4}) for path in STATUS}, [Shown(3, 1, 3, 0), Shown(up, 0, 0, 1)])
        for up in fewest
    )
    return Report(dict(zip(PHASES, phases, strict=True)), tally or Tally())


def test_samples_are_added_up_that_have_a_name_and_labels() -> None:
    assert sample(METRICS, "chapterhouse_device_up") == 1
    assert sample(METRICS, "chapterhouse_model_loaded", device="simulated:1") == 2
    assert sample(METRICS, "chapterhouse_disk_free_bytes") == 1500
    assert Shown.of(METRICS) == Shown(1, 0, 2, 2)


def test_a_card_that_is_lost_and_comes_back_while_all_is_answered_is_no_fault() -> None:
    lines = report().lines()
    assert report().faults() == []
    assert "| `chapterhouse_device_up`, all cards, the least | 3 | 2 | 3 | 2 | 3 |" in lines
    assert "| `/metrics` answered 200 | 4 of 4 | 4 of 4 | 4 of 4 | 4 of 4 | 4 of 4 |" in lines
    assert lines[-1] == (
        "never answered: 0; wrong: 0; asked again: nothing; the third card served again after 2.0 and 2.0 s"
    )


@pytest.mark.parametrize("place", range(len(PHASES)))
def test_another_number_of_cards_than_the_one_that_was_lost_leaves_is_a_fault(place: int) -> None:
    fewest = [3, 2, 3, 2, 3]
    fewest[place] -= 1
    [fault] = report(tuple(fewest)).faults()
    assert fault.startswith(f"{PHASES[place]}: the metrics called {fewest[place]} cards up")


def test_an_answer_that_is_wrong_or_never_comes_is_a_fault_and_so_is_a_status_that_is_not_told() -> None:
    found = report(tally=Tally(unanswered=["GET /"], wrong=["500: no"]))
    found.phases["after it"].said["/health/ready"][503] += 2
    assert found.faults() == [
        "never answered: GET /",
        "wrong: 500: no",
        "after it: /health/ready answered 503, 2 times",
    ]


def test_a_card_is_lost_by_a_signal_that_ends_no_child_in_peace() -> None:
    assert LOSS is not END
    assert set(LOSSES) < set(PHASES)


@pytest.mark.parametrize(("forwards", "answered", "failed"), [([64, 32], 63, 1), ([64], 62, 1), ([64], 63, 2)])
def test_more_forwards_than_it_takes_or_a_lost_answer_are_faults(
    forwards: list[int], answered: int, failed: int
) -> None:
    assert Reading("", [64], 63, 1, (1, 63, 1)).is_as_wanted
    assert not Reading("", forwards, answered, failed, (1, 63, 1)).is_as_wanted


def test_bad_images_little_memory_and_a_lost_card_cost_what_they_have_to() -> None:
    lines, faults = asyncio.run(failures.run())
    assert faults == []
    assert "| 64 callers, 1 bad | 13 | 190 | 63 | 1 |" in lines
    assert "| first is asked | first, third | second |" in lines
