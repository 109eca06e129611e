"""The simulation of many pods: what is known of such queues holds, and the page is what it says."""

import json
from dataclasses import replace

import pytest

from experiments.scaling import growth
from experiments.scaling.__main__ import DOCUMENT, MEASURED
from experiments.scaling.document import render
from experiments.scaling.inputs import Inputs
from experiments.scaling.queues import classified, evaluated

PLAIN = replace(Inputs(), front_cores=1, request_core_s=0.0, max_batch=1, batch_fixed_s=1.0, batch_row_s=0.0)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_server_with_equal_work_waits_as_pollaczek_and_khinchine_have_it(load: float) -> None:
    wait = load / (2 * (1 - load))
    assert classified(PLAIN, load, count=200_000).mean == pytest.approx(1 + wait, rel=0.05)


def test_the_same_seed_gives_the_same_times_and_another_gives_others() -> None:
    assert classified(Inputs(), 1000.0, count=5000) == classified(Inputs(), 1000.0, count=5000)
    assert classified(Inputs(), 1000.0, count=5000) != classified(Inputs(), 1000.0, count=5000, seed=1)


def test_batches_carry_a_load_that_single_rows_could_not() -> None:
    inputs = replace(PLAIN, max_batch=128)
    assert classified(inputs, 20.0, count=20_000).p99 < 10


def test_an_evaluation_that_waits_for_nobody_takes_as_long_as_its_parts() -> None:
    inputs = Inputs()
    seconds = evaluated(inputs, 100, 0.001, count=2000)
    assert seconds.mean == pytest.approx(growth.evaluation_s(inputs), rel=0.02)


def test_more_pods_make_evaluations_wait_less() -> None:
    needed = growth.pods_for_evaluations(Inputs(), 1e6)
    few, enough = (evaluated(Inputs(), pods, 1e6 / growth.DAY_S, count=4000) for pods in (needed // 3, needed))
    assert few.p99 > enough.p99


def test_what_pods_share_is_the_limit_in_the_end() -> None:
    one, many = growth.evaluating(Inputs(), 1), growth.evaluating(Inputs(), 1000)
    assert one.first in ("devices", "evaluators")
    assert many.first == "connections"
    roomy = replace(Inputs(), connections=1e9)
    assert growth.evaluating(roomy, 1000).first == "notices"
    assert growth.classifying(Inputs(), 1).first == "cores of the fronts"
    assert growth.classifying(Inputs(), 1000).first == "load balancer"


def test_cells_have_no_more_pods_than_a_database_takes_and_grow_with_them() -> None:
    inputs = Inputs()
    size = growth.pods_of_a_cell(inputs)
    assert growth.evaluating(inputs, size).per_second > 0
    assert growth.evaluating(inputs, size + 1).first == "connections"
    assert growth.cells(inputs, 10 * size) == 10
    one, ten = (growth.evaluating_in_cells(inputs, n * size).per_second for n in (1, 10))
    assert ten == pytest.approx(10 * one)


def test_twice_the_work_takes_twice_the_pods() -> None:
    once, twice = (growth.pods_for_evaluations(Inputs(), n * 1e6) for n in (1, 2))
    assert twice in (2 * once, 2 * once - 1)
    assert growth.evaluations_cost(Inputs(), 1e6)["pods"] == pytest.approx(24 * 2.5 * once)


def test_an_input_that_is_none_is_refused() -> None:
    assert Inputs().with_words(["peak=1"]).peak == 1
    with pytest.raises(ValueError, match="prise is no input"):
        Inputs().with_words(["prise=1"])


def test_the_page_is_what_the_simulation_and_the_measurement_say() -> None:
    written = DOCUMENT.read_text("utf-8")
    assert written == render(Inputs(), json.loads(MEASURED.read_text("utf-8"))), (
        "python -m experiments.scaling writes it"
    )


def test_what_was_measured_stands_at_the_top() -> None:
    page = render(Inputs(), {"machine": "2 cores", "rows": [["engines", 1, 198.0, 1.0], ["engines", 4, 780.0, 3.94]]})
    assert "| engines | 4 | 780 | 3.94 |" in page
