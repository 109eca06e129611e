"""The program behind docs/claims.md: what it trains can be trained, what it says follows from what it measured."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.claims.__main__ import CLAIMS, DOCUMENT, MEASUREMENTS, OF_DEVICES, missing
from experiments.claims.chapter4 import BEST
from experiments.claims.chapter5 import BEST as BEST_RECIPE
from experiments.claims.chapter5 import LONG
from experiments.claims.claim import Claim, Comparison, epochs_to_goal
from experiments.claims.counting import counts
from experiments.claims.devices import BATCH, Devices, glance, read_devices, section, train
from experiments.claims.document import render
from experiments.claims.record import TUNED_ON, Record
from experiments.claims.trial import GOAL, Data, Measurement, Sets, Trial, measure
from service.datasets.split import Split
from service.training.classifier import ClassifierRecipe
from service.training.team import Team

ROWS = 12
TRIALS = {f"{claim.key}: {name}": trial for claim in CLAIMS.values() for name, trial in claim.rows(0).items()}
TRIED = {f"{claim.key}: {name}": trial for claim in CLAIMS.values() for name, trial in claim.tuning.items()}
LAST = {key: list(claim.trials.values())[-1] for key, claim in CLAIMS.items()}


def noise(data: Data) -> Sets:
    """Images of nothing in the shape of a trial's."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, data.side, data.side, data.spec.channels), dtype=np.uint8)
    split = Split(images, np.arange(ROWS, dtype=np.uint8) % 10)
    return Sets(split, split)


def shortened(trial: Trial) -> Trial:
    """One step of it."""
    recipe = {**trial.recipe, "epochs": 1}
    return replace(trial, recipe=recipe, after=shortened(trial.after) if trial.after else None)


def found(trial: Trial, errors: list[float]) -> list[Measurement]:
    return [Measurement(trial.key, seed, error, 0.0, 1.0) for seed, error in enumerate(errors)]


@pytest.mark.parametrize("key", LAST)
def test_a_trial_of_every_claim_is_trained_for_a_step_and_measured(key: str, tmp_path: Path) -> None:
    trial = shortened(LAST[key])
    measured = measure(trial, 0, noise(trial.data), tmp_path)
    assert measured.trial == trial.key != LAST[key].key
    assert 0 <= measured.test_error <= 1
    assert len(measured.curve) == trial.curve


def test_every_trial_has_a_net_and_a_recipe_that_there_are() -> None:
    for name, trial in (*TRIALS.items(), *TRIED.items()):
        parameters, macs = trial.size()
        assert 0 < parameters <= 10 * macs, name
        assert ClassifierRecipe(loop="classifier", **trial.recipe).epochs > 1


def test_a_deeper_net_begins_with_what_the_shallow_one_learnt(tmp_path: Path) -> None:
    trial = shortened(TRIALS["from-shallow: D, from A"])
    measure(trial, 0, noise(trial.data), tmp_path)
    assert trial.after is not None
    assert (tmp_path / f"{trial.after.key}-0" / "weights.safetensors").is_file()


def test_a_seed_gives_the_same_numbers_again(tmp_path: Path) -> None:
    trial = shortened(TRIALS["overlapping-pooling: 2×2, stride 2"])
    first, second = (measure(trial, 4, noise(trial.data), tmp_path / part) for part in "ab")
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_the_document_is_what_its_measurements_say() -> None:
    said = render(list(CLAIMS.values()), counts(), Record(MEASUREMENTS), read_devices(OF_DEVICES))
    assert said == DOCUMENT.read_text("utf-8")


def test_two_devices_learn_from_a_batch_what_one_learns_and_the_section_says_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(2 * BATCH, 3, 32, 32), torch.arange(2 * BATCH) % 10
    losses, speed = train(Team(), x, labels)
    assert len(losses) == 2
    assert speed > 0
    near = tuple(loss + 1e-5 for loss in losses)
    found = Devices(
        losses={1: tuple(losses), 2: near},
        images_per_s={1: (100.0, 100.0), 2: (150.0, 170.0)},
        exact={1: (2.0,), 2: (2.0 + 1e-9,)},
    )
    assert "**reproduced** (in double precision losses differ by 1e-09 at most)" in section(found)
    assert "In single precision, as above, by 1e-05 at most" in section(found)
    assert "losses differ by less than 1e-12)" in section(replace(found, exact={1: (2.0,), 2: (2.0,)}))
    assert "**reproduced** (1.60 times as fast)" in section(found)
    assert ("two against one", "160 : 100 images/s", "reproduced") in glance(found)
    assert "The same loss curve: **not reproduced**" in section(replace(found, exact={1: (2.0,), 2: (1.9,)}))
    assert "Not measured yet" in section(read_devices(tmp_path / "nothing.json"))


def test_losses_are_exact_where_the_images_are() -> None:
    x, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
    (single,), (exact,) = (train(Team(), images, labels)[0] for images in (x, x.double()))
    assert single != exact == pytest.approx(single, abs=1e-4)


def test_what_is_not_reproduced_says_what_limits_it() -> None:
    record = Record(MEASUREMENTS)
    silent = [key for key, claim in CLAIMS.items() if {*claim.judge(record)} != {"reproduced"} and not claim.remark]
    assert not silent


def test_beside_the_document_lies_what_is_in_it_and_nothing_else() -> None:
    known = {trial.key for claim in CLAIMS.values() for trial in claim.all_trials}
    lines = [json.loads(line) for line in MEASUREMENTS.read_text("utf-8").splitlines()]
    assert {line["trial"] for line in lines} <= known
    assert len({(line["trial"], line["seed"]) for line in lines}) == len(lines)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.key)
def test_every_variant_was_trained_from_as_many_seeds_as_its_claim_has(claim: Claim) -> None:
    found = claim.found(Record(MEASUREMENTS))
    wanted = {**dict.fromkeys(claim.trials, claim.seeds), **dict.fromkeys(claim.further, 1)}
    assert {name: len(seeds) for name, seeds in found.items()} == wanted


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    claims = [CLAIMS["two-3x3"]]
    wanted = list(missing(claims, record, 2))
    assert [(name, seed) for _, name, _, seed in wanted] == [
        ("two 3×3", 0), ("one 5×5", 0), ("two 3×3", 1), ("one 5×5", 1),
    ]  # fmt: skip
    record.add(Measurement(wanted[0][2].key, 0, 0.25, 0.125, 3.0, (0.5, 0.25)))
    again = Record(path)
    assert [name for _, name, _, _ in missing(claims, again, 1)] == ["one 5×5"]
    assert again.of(wanted[0][2]) == [Measurement(wanted[0][2].key, 0, 0.25, 0.125, 3.0, (0.5, 0.25))]
    again.write(tmp_path / "kept.jsonl", [])
    assert (tmp_path / "kept.jsonl").read_text() == ""


def test_rates_are_tried_once_on_a_seed_that_is_not_among_the_results(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    claim = CLAIMS["relu"]
    wanted = list(missing([claim], record, 1))
    assert [name for _, name, _, seed in wanted if seed == TUNED_ON] == list(claim.tuning)
    trial = wanted[0][2]
    record.add(Measurement(trial.key, TUNED_ON, 0.5, 0.4, 1.0, (0.6, 0.4)))
    assert record.of(trial) == []
    assert trial not in [one for _, _, one, _ in missing([claim], record, 1)]
    assert f"{wanted[0][1]}: 40.0 %." in render([claim], [], record)


def test_each_nonlinearity_has_the_rate_that_was_the_best_of_those_tried() -> None:
    record, claim = Record(MEASUREMENTS), CLAIMS["relu"]
    for name, rates in BEST.items():
        tried = [(one, record.tried(one)) for known, one in claim.tuning.items() if known.startswith(name)]
        errors = {one.recipe["rate"]: found.training_error for one, found in tried if found is not None}
        least = min(errors.values())
        assert {rate for rate, error in errors.items() if error < least + 0.01} == {*rates}


def test_a_deep_separable_net_has_the_recipe_that_was_the_best_of_those_tried() -> None:
    record, claim = Record(MEASUREMENTS), CLAIMS["separable-deep"]
    errors = {name: tried.training_error for name, trial in claim.tuning.items() if (tried := record.tried(trial))}
    assert {*errors} == {*claim.tuning}
    assert min(errors, key=errors.__getitem__) == f"depthwise, {BEST_RECIPE}"


def test_a_longer_training_differs_in_its_length_alone_and_has_one_seed_and_no_verdict(tmp_path: Path) -> None:
    claim, record = CLAIMS["separable-deep"], Record(tmp_path / "record.jsonl")
    for name, trial in claim.trials.items():
        longer = claim.further[f"{name}, {LONG} epochs"]
        assert replace(trial, recipe={**trial.recipe, "epochs": LONG}) == longer != trial
    wanted = [(name, seed) for _, name, _, seed in missing([claim], record, None) if name in claim.further]
    assert wanted == [(name, 0) for name in claim.further]
    for seed in (0, 1):
        record.add(Measurement(longer.key, seed, 0.5 + 0.1 * seed, 0.25, 1.0))
    assert f"| {name}, {LONG} epochs | 219,805 | 2,313,324 | 50.00 | 25.00 |" in render([claim], [], record)
    assert not {*claim.further} & {side for one in claim.comparisons for side in (one.this, one.that)}


def test_a_training_that_is_watched_ends_at_the_goal(tmp_path: Path) -> None:
    trial = next(iter(CLAIMS["relu"].trials.values()))
    trial = replace(trial, recipe={**trial.recipe, "epochs": 30, "batch": 2})
    sets = noise(trial.data)
    measured = measure(trial, 0, Sets(Split(sets.training.images, np.zeros(ROWS, dtype=np.uint8)), sets.test), tmp_path)
    assert measured.training_error == measured.curve[-1] <= GOAL < min((*measured.curve[:-1], 1.0))
    assert len(measured.curve) < 30


@pytest.mark.parametrize(
    ("ours", "theirs", "allowed", "verdict"),
    [
        ([0.30, 0.31, 0.29], [0.40, 0.41, 0.39], None, "reproduced"),
        ([0.40, 0.41, 0.39], [0.30, 0.31, 0.29], None, "not reproduced"),
        ([0.30, 0.40, 0.35], [0.31, 0.41, 0.36], None, "too close to call"),
        ([0.305, 0.315, 0.295], [0.30, 0.31, 0.29], 2.5, "reproduced"),
        ([0.35, 0.36, 0.34], [0.30, 0.31, 0.29], 2.5, "not reproduced"),
        ([0.30, 0.31], [0.40, 0.41, 0.39], None, "not measured"),
    ],
)
def test_a_difference_counts_from_two_standard_errors_on(
    ours: list[float], theirs: list[float], allowed: float | None, verdict: str
) -> None:
    trial = TRIALS["two-3x3: two 3×3"]
    comparison = Comparison("this", "that", allowed=allowed)
    assert comparison.judge({"this": found(trial, ours), "that": found(trial, theirs)}) == verdict


def test_the_epochs_to_a_quarter_are_read_between_two() -> None:
    measured = Measurement("", 0, 0.3, 0.1, 1.0, (0.6, 0.35, 0.15))
    assert epochs_to_goal(measured) == pytest.approx(2.5)
    assert epochs_to_goal(replace(measured, curve=(0.6, 0.35))) == math.inf


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([0.2, 0.2, 0.2], [0.2, 0.9, 0.9], "reproduced"),
        ([0.2, 0.9, 0.2], [0.2, 0.2, 0.2], "not reproduced"),
        ([0.9, 0.2, 0.2], [0.9, 0.2, 0.2], "too close to call"),
    ],
)
def test_who_always_reaches_the_goal_beats_who_does_not(ours: list[float], theirs: list[float], verdict: str) -> None:
    def curves(lasts: list[float]) -> list[Measurement]:
        return [Measurement("", seed, 0.3, last, 1.0, (0.5, last)) for seed, last in enumerate(lasts)]

    comparison = Comparison("this", "that", of=epochs_to_goal)
    assert comparison.judge({"this": curves(ours), "that": curves(theirs)}) == verdict


def test_a_section_says_what_was_measured_in_words(tmp_path: Path) -> None:
    claim: Claim = CLAIMS["two-3x3"]
    record = Record(tmp_path / "record.jsonl")
    for trial, error in zip(claim.trials.values(), (0.30, 0.37), strict=True):
        for seed in range(3):
            record.add(Measurement(trial.key, seed, error + 0.01 * seed, 0.1, 1.0))
    text = render([claim], counts(), record)
    assert "| two 3×3 | 591,450 | 14,599,424 | 31.00 ± 1.00 | 10.00 ± 0.00 |" in text
    assert "- two 3×3 against one 5×5: **reproduced** (-7.00 points, standard error 0.82)." in text
    assert "[Two 3×3 instead of one 5×5](#two-33-instead-of-one-55) | two 3×3 against one 5×5 | 31.0 : 38.0 % |" in text


def test_what_counting_says_is_said_with_its_numbers() -> None:
    told = {count.sentence: count for count in counts()}
    assert [count.sentence[:9] for count in told.values() if count.verdict == "not reproduced"] == ["GoogLeNet"]
    assert any("340,908 connections" in count.counted and "60,000" in count.counted for count in told.values())
