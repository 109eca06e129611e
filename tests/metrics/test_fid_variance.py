import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.fid_variance import HEAVY, fid_variances
from service.metrics.frechet import distance, gaussian_of
from service.metrics.samples import Rows
from service.metrics.uncertainty import Variances

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def variances(x: Rows, y: Rows, *, corrected: bool = False) -> Variances:
    return fid_variances(distance(gaussian_of(x, "x"), gaussian_of(y, "y")), x, y, corrected=corrected)


def real_of(found: Variances) -> float:
    assert found.real is not None
    return found.real


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 4), (40, 6, 8), (6, 7, 8)])
def test_the_sides_are_alike(n: int, m: int, d: int) -> None:
    x, y = rows(n, d, 1), rows(m, d, 2, 1.3) + 0.2
    there, back = variances(x, y), variances(y, x)
    assert there.generated == pytest.approx(real_of(back), rel=1e-6)
    assert back.generated == pytest.approx(real_of(there), rel=1e-6)


def test_a_quarter_of_what_halves_have_more_than_half_of_themselves_is_taken_off_and_at_most_half() -> None:
    x, y = rows(80, 6, 1), rows(50, 6, 2)
    whole, corrected = variances(x, y), variances(x, y, corrected=True)
    halves = [variances(x[start::2], y[start::2]) for start in (0, 1)]
    for plain, noisy, found in (
        (real_of(whole), [real_of(half) / 2 for half in halves], real_of(corrected)),
        (whole.generated, [half.generated / 2 for half in halves], corrected.generated),
    ):
        assert np.mean(noisy) > plain
        assert found == pytest.approx(max(plain - (np.mean(noisy) - plain) / 4, plain / 2), rel=1e-9)


def test_halves_that_are_less_noisy_take_nothing_off() -> None:
    x, y = rows(80, 2, 1), rows(50, 2, 2, 2.0) + 5
    whole, corrected = variances(x, y), variances(x, y, corrected=True)
    noisy = np.mean([variances(x[start::2], y[start::2]).generated / 2 for start in (0, 1)])
    expected = max(whole.generated - max(float(noisy) - whole.generated, 0) / 4, whole.generated / 2)
    assert corrected.generated == pytest.approx(expected, rel=1e-9)


def test_of_many_samples_those_that_are_looked_at_lie_evenly_over_the_set() -> None:
    x = rows(4000, 3, 1)
    in_order = x[np.argsort(np.square(x).sum(axis=1))]  # the first thousand alone would hardly vary
    y = rows(500, 3, 2, 1.5)
    assert real_of(variances(in_order, y)) == pytest.approx(real_of(variances(x, y)), rel=0.1)


def test_a_heavy_tail_of_either_side_is_the_scores() -> None:
    rng = np.random.default_rng(1)
    plain, heavy = rng.standard_normal((500, 4)), rng.standard_t(1.5, (500, 4))
    assert variances(plain, plain[::-1] * 1.5).tail > HEAVY == 1.6
    assert variances(plain, heavy).tail < 1.6
    assert variances(heavy, plain).tail < 1.6
    assert variances(plain, heavy).least_tail == HEAVY
