from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.kernel_interval import kernel_interval, orders_of
from service.metrics.kernel_precision import discrepancy
from service.metrics.kernels import Gaussian, Kernel, Polynomial
from service.metrics.uncertainty import POPULATION, Interval

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d))


def levels(n: int, seed: int, power: float = 1.0) -> Real:
    rng = np.random.default_rng(seed)
    return np.asarray(np.clip(rng.random((n, 1)) + 0.3 * (rng.random((n, 6)) - 0.5), 0, 1) ** power)


def normals(n: int, seed: int, power: float = 1.0) -> Real:
    return rows(n, 6, seed) * power


@pytest.mark.parametrize("kernel", [Polynomial(), Gaussian(1.0)])
@pytest.mark.parametrize(("draw", "power"), [(levels, 1.0), (levels, 1.25), (normals, 1.0), (normals, 1.15)])
def test_the_interval_covers_on_both_sides_of_the_noise(
    kernel: Kernel, draw: Callable[[int, int, float], Real], power: float
) -> None:
    values, covered = [], []
    for repeat in range(200):
        sums = discrepancy(draw(150, 2 * repeat, 1.0), draw(120, 2 * repeat + 1, power), kernel)
        values.append(sums.mmd2())
        covered.append(kernel_interval(sums, values[-1], POPULATION))
    truth = 0.0 if power == 1 else float(np.mean(values))
    hits = [found.low <= truth <= found.high for found in covered if isinstance(found, Interval)]
    assert len(hits) >= 198  # a tail of ten samples looks heavy now and then
    assert 0.9 <= np.mean(hits) <= 0.99


def test_the_interval_is_narrower_below_a_score_that_is_noise() -> None:
    sums = discrepancy(levels(150, 1), levels(150, 2), Gaussian(0.5))
    found = kernel_interval(sums, sums.mmd2(), POPULATION)
    assert isinstance(found, Interval)
    assert found.low < 0 < found.high


def test_a_biased_score_has_the_interval_of_the_unbiased_one_moved() -> None:
    sums = discrepancy(rows(60, 3, 1), rows(50, 3, 2) + 0.5, Gaussian(1.0))
    unbiased, biased = sums.mmd2(), sums.mmd2(unbiased=False)
    first, second = (kernel_interval(sums, value, POPULATION) for value in (unbiased, biased))
    assert isinstance(first, Interval)
    assert isinstance(second, Interval)
    assert second.low - first.low == pytest.approx(biased - unbiased)
    assert second.high - first.high == pytest.approx(biased - unbiased)


def test_tails_that_a_cubic_kernel_cannot_weigh_are_a_reason_and_a_bounded_kernel_weighs_them() -> None:
    x, y = (np.random.default_rng(seed).standard_t(2, (400, 16)) for seed in (1, 2))
    cubic = discrepancy(x, y, Polynomial())
    reason = kernel_interval(cubic, cubic.mmd2(), POPULATION)
    assert isinstance(reason, str)
    assert "tail index" in reason
    bounded = discrepancy(x, y, Gaussian(8.0))
    assert isinstance(kernel_interval(bounded, bounded.mmd2(), POPULATION), Interval)


def test_the_null_variance_is_the_variance_between_equal_distributions() -> None:
    draws = [discrepancy(rows(40, 3, 2 * seed), rows(30, 3, 2 * seed + 1), Gaussian(2.0)) for seed in range(400)]
    expected = np.mean([sum(orders_of(sums).null) for sums in draws])
    assert np.var([sums.mmd2() for sums in draws]) == pytest.approx(expected, rel=0.15)


def test_sets_of_copies_tell_nothing_of_the_spread() -> None:
    sums = discrepancy(np.ones((20, 2)), np.ones((20, 2)), Gaussian(1.0))
    assert isinstance(kernel_interval(sums, sums.mmd2(), POPULATION), str)


def orders_by_hand(x: Real, y: Real, sigma: float) -> tuple[float, float, float, float, float]:
    """v₀ and first order by side, and Σλ² / Σλ, all from the whole matrix of a Gaussian kernel."""

    def k(a: Real, b: Real) -> Real:
        return np.asarray(np.exp(-np.square(a[:, None] - b[None]).sum(axis=2) / (2 * sigma**2)))

    def within(z: Real) -> tuple[Real, float, float]:
        pairs = k(z, z)[~np.eye(len(z), dtype=bool)].reshape(len(z), -1)
        means = pairs.mean(axis=1)
        beyond = np.square(pairs).mean() - 2 * np.square(means).mean() + pairs.mean() ** 2
        return means, float(beyond), float(1 - pairs.mean())

    n, m, across = len(x), len(y), k(x, y)
    (a, of_x, scale_x), (c, of_y, scale_y) = within(x), within(y)
    rows, columns = across.mean(axis=1), across.mean(axis=0)
    both = np.square(across).mean() - np.square(rows).mean() - np.square(columns).mean() + across.mean() ** 2
    null = [2 * of / (size * (size - 1)) + 2 * both / (n * m) for of, size in ((of_x, n), (of_y, m))]
    first = [4 * means.var(ddof=1) / size for means, size in ((a - rows, n), (c - columns, m))]
    return null[0], null[1], float(first[0]), float(first[1]), (of_x + of_y) / (scale_x + scale_y)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.5], ids=["alike", "near", "apart"])
def test_the_ends_are_where_the_score_lies_a_quantile_of_its_own_variance_away(shift: float) -> None:
    x, y = rows(40, 3, 1), rows(30, 3, 2) + shift
    sums = discrepancy(x, y, Gaussian(2.0))
    value, found = sums.mmd2(), kernel_interval(sums, sums.mmd2(), POPULATION)
    assert isinstance(found, Interval)
    null_x, null_y, first_x, first_y, typical = orders_by_hand(x, y, 2.0)
    v0 = null_x + null_y
    weight = 0.5 * v0**0.5
    slope = 4 * (1 / 40 + 1 / 30) * typical
    c = (max(first_x + first_y - 2 * v0, 0) + slope * weight) / (max(value, 0) + weight)
    for end in (found.low, found.high):
        assert abs(value - end) == pytest.approx(1.959964 * (v0 + c * max(end, 0)) ** 0.5, rel=1e-6)
    assert found.low < value < found.high
    # the jackknife holds the second order twice
    real, generated = max(first_x - null_x, null_x), max(first_y - null_y, null_y)
    assert found.generated_error == pytest.approx(generated**0.5, rel=1e-9)
    assert found.standard_error == pytest.approx((real + generated) ** 0.5, rel=1e-9)


def test_twenty_five_samples_a_side_are_enough_for_an_interval_and_fewer_are_not() -> None:
    for n, m, enough in ((25, 25, True), (24, 60, False), (60, 24, False)):
        sums = discrepancy(rows(n, 3, 1), rows(m, 3, 2), Gaussian(2.0))
        assert isinstance(kernel_interval(sums, sums.mmd2(), POPULATION), Interval) is enough
