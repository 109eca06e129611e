"""What counts as a difference on every page: two standard errors, of independent seeds or of pairs."""

import math

import pytest

from experiments.spreads import Difference, Spread


def test_the_error_of_a_difference_is_that_of_both_means() -> None:
    ours, theirs = Spread.of([1.0, 2.0, 3.0]), Spread.of([5.0, 5.0])
    assert ours == (2.0, 1.0, 3)
    assert Difference.between(ours, theirs) == pytest.approx((-3.0, 1 / math.sqrt(3)))
    assert Difference.between(ours, theirs).counts


def test_pairs_are_subtracted_before_they_are_averaged() -> None:
    assert Difference.paired([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]) == pytest.approx((2.0, 1 / math.sqrt(3)))


@pytest.mark.parametrize(
    ("mean", "error", "counts"), [(2.0, 1.0, True), (-1.9, 1.0, False), (0.1, 0.0, True), (0.0, 0.0, False)]
)
def test_two_standard_errors_count_and_no_difference_never_does(mean: float, error: float, counts: bool) -> None:  # noqa: FBT001 - as the table has it
    assert Difference(mean, error).counts is counts


def test_of_one_seed_nobody_knows() -> None:
    assert not Difference.between(Spread.of([1.0]), Spread.of([9.0, 9.0])).counts
