"""docs/collapse-advice.md is what was measured of the recipes that are there, and every switch is one of a recipe."""

from pathlib import Path

import pytest

from experiments.advice.__main__ import DOCUMENT, MEASUREMENTS
from experiments.advice.document import HARMS, HELPS, NOTHING, dead, judge, render
from experiments.advice.measuring import digest_of, measure, recipe_of, worth_of
from experiments.advice.record import Measured, read_record
from experiments.advice.switches import BASE, MODEL, PLAIN, SEEDS, SWITCHES, Switch
from service.datasets.mixtures import RING
from service.settings import Settings
from service.store import Model
from service.training.adversarial.recipe import AdversarialRecipe

RECORD = read_record(MEASUREMENTS)


def measured(modes: tuple[float, ...], good: tuple[float, ...]) -> Measured:
    nothing = (0.0,) * len(modes)
    return Measured(switch="none", recipe="", modes=modes, good=good, reverse_kl=nothing, fid=nothing, seconds=1)


def test_the_page_is_what_its_measurements_say() -> None:
    assert DOCUMENT.read_text("utf-8") == render(RECORD), "`python -m experiments.advice --render` puts it right"


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.key)
def test_every_switch_is_a_recipe_and_was_measured_as_it_is(switch: Switch) -> None:
    AdversarialRecipe(**recipe_of(switch))
    assert RECORD[switch.key].recipe == digest_of(switch), "`python -m experiments.advice` measures what is new"
    assert len(RECORD[switch.key].modes) == SEEDS


def test_what_is_not_measured_stands_there_as_such() -> None:
    assert render({}).count("| not measured | not measured | not measured |") == len(SWITCHES)


@pytest.mark.parametrize("alone", [True, False])
def test_every_seed_is_measured(alone: bool) -> None:  # noqa: FBT001
    manifest = Model(Settings().shipped_models_dir / MODEL).manifest
    found = measure(Switch("x", "", "", alone=alone), manifest, Path(), {**BASE, "iterations": 4})
    assert len(found.modes) == len(found.good) == len(found.fid) == SEEDS


def test_points_of_the_mixture_itself_are_all_good_and_near() -> None:
    own, real = RING.load(Path(), "train")[:2500], RING.load(Path(), "test")
    worth = worth_of(own, real, RING)
    assert (worth.modes, round(worth.good, 1)) == (8, 1.0)
    assert worth.fid < 0.01
    assert worth_of(own * 0 + own[:1], real, RING).fid > 1, "all in one place"


def test_a_seed_without_good_points_or_modes_is_dead() -> None:
    assert dead(measured((8, 1, 5, 0), (0.9, 0.9, 0.05, 0.0))) == 3


@pytest.mark.parametrize(
    ("ours", "said"),
    [((8, 8, 7), HELPS), ((1, 1, 2), HARMS), ((4, 4, 6), NOTHING)],
)
def test_a_difference_counts_from_two_standard_errors_on(ours: tuple[float, ...], said: str) -> None:
    assert judge(ours, (4, 5, 4)) == said


def test_a_smaller_distance_helps() -> None:
    assert judge((1, 1, 2), (4, 5, 4), -1) == HELPS


def test_the_first_row_is_that_of_no_advice() -> None:
    assert SWITCHES[0] is PLAIN
    assert recipe_of(PLAIN) == {**BASE, "stack": SEEDS}
