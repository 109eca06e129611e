from typing import Any

import numpy as np
import pytest

from service.errors import InvalidSeries
from service.store import SeriesSpec
from service.tasks.history import FITTED_MOST, prepare_fitted, prepare_known, read_table

SPEC = SeriesSpec(channels=("x",), washout=10, context=50, fits=True)
DRIVEN = SeriesSpec(channels=("y",), inputs=("u",), washout=10, context=50, fits=True)
BY_HEART = SeriesSpec(channels=("x",), context=50, memorised=50)
NOISE = np.random.default_rng(0).normal(size=(FITTED_MOST + 500, 1))
NOTHING = np.zeros((20_000, 0))


def test_one_channel_may_be_a_flat_list() -> None:
    assert read_table("history", [1, 2.5]).tolist() == [[1], [2.5]]
    assert read_table("history", [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "a list of numbers is needed"),
        ([[], []], "a list of numbers is needed"),
        ([[[1]]], "a list of numbers is needed"),
        ([1, [2]], "as many values as the first"),
        ([[1, 2], [3]], "as many values as the first"),
        ([1, None, 3, float("nan"), float("inf")], "missing or not finite at step 2, 4, 5; fill"),
        ([None] * 9, r"at step 1, 2, 3, 4, 5, …; fill"),
        ([1, "2"], "no number"),
        ([True, False], "no number"),
        ([1, {}], "no number"),
        ([10**400, 1], "no number"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_with_its_place(rows: list[Any], reason: str) -> None:
    with pytest.raises(InvalidSeries, match=reason):
        read_table("history", rows)


@pytest.mark.parametrize(
    ("values", "inputs", "spec", "reason"),
    [
        (np.ones((20, 2)), NOTHING, SPEC, r"has 1 channels \(x\), not 2"),
        (NOISE[:9], NOTHING, SPEC, "9 steps are too few; after 10"),
        (NOISE[:20], NOTHING, DRIVEN, r"needs 1 \(u\) for every step, not 0"),
        (NOISE[:20], NOISE, SPEC, "needs 0 for every step, not 1"),
        (NOISE[:51], NOTHING, BY_HEART, "knows 50 steps by heart, and 51 are over"),
    ],
)
def test_a_history_that_a_model_cannot_continue_is_refused(
    values: np.ndarray[Any, Any], inputs: np.ndarray[Any, Any], spec: SeriesSpec, reason: str
) -> None:
    with pytest.raises(InvalidSeries, match=reason):
        prepare_known(values, inputs, spec)


@pytest.mark.parametrize(
    ("values", "inputs", "spec", "reason"),
    [
        (
            np.ones((200, 1)),
            NOTHING,
            SPEC,
            "channel 0 never changes before its last quarter; there is nothing to learn",
        ),
        (
            np.repeat([[1.0], [2.0]], [151, 49], axis=0),
            NOTHING,
            SPEC,
            "channel 0 never changes before its last quarter",
        ),
        (NOISE[:59], NOTHING, SPEC, "59 steps are too few to fit to; 60"),
        (np.tile(NOISE[:200], 65), NOTHING, SPEC, "at most 64 channels"),
        (NOISE[:200] * 1e300, NOTHING, SPEC, "too large to square"),
        (NOISE[:200], NOTHING, DRIVEN, "hears nothing else"),
    ],
)
def test_a_history_that_nothing_can_be_fitted_to_is_refused(
    values: np.ndarray[Any, Any], inputs: np.ndarray[Any, Any], spec: SeriesSpec, reason: str
) -> None:
    with pytest.raises(InvalidSeries, match=reason):
        prepare_fitted(values, inputs, spec)


def test_the_last_steps_are_used_and_the_others_are_told_of() -> None:
    inputs = np.arange(130.0)[:, None]
    history = prepare_known(NOISE[:120], inputs, DRIVEN)
    assert np.array_equal(history.values, NOISE[70:120])
    assert history.inputs[:, 0].tolist() == list(range(70, 130))
    assert history.warnings == ("only the last 50 of 120 steps are used",)
    assert len(prepare_fitted(NOISE, NOTHING, SPEC).values) == FITTED_MOST


def test_a_constant_history_is_continued_with_a_warning() -> None:
    assert prepare_known(np.ones((20, 1)), NOTHING[:30], SPEC).warnings == ("channel 0 never changes",)


def test_a_channel_of_a_long_history_that_changes_late_is_not_constant() -> None:
    history = np.zeros((5000, 2))
    history[-1, 1] = 1
    spec = SeriesSpec(channels=("x", "y"), washout=10, context=5000, fits=True)
    assert prepare_known(history, np.zeros((5001, 0)), spec).warnings == ("channel 0 never changes",)


def test_what_has_come_as_an_array_is_read_without_a_copy() -> None:
    sent: Any = np.arange(100.0)
    assert np.shares_memory(read_table("history", sent), sent)


def test_going_beyond_what_is_known_by_heart_is_told_of() -> None:
    assert prepare_known(np.ones((20, 1)), NOTHING[:50], BY_HEART).warnings == ()
    assert prepare_known(np.ones((20, 1)), NOTHING[:51], BY_HEART).warnings == (
        "what follows step 50 is not what the model learnt",
    )
