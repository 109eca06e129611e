import re
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics.kernel_interval import orders_of
from service.metrics.kernel_precision import discrepancy
from service.metrics.kernels import Polynomial
from service.metrics.kid import KID, OVERLAPPING, how_long, kid
from service.metrics.metric import Side

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d)) * scale


def truth(x: Real, y: Real) -> float:
    def k(a: Real, b: Real) -> Real:
        values: Real = (a @ b.T / a.shape[1] + 1) ** 3
        return values

    def within(z: Real) -> float:
        return float((k(z, z).sum() - k(z, z).trace()) / (len(z) * (len(z) - 1)))

    return within(x) + within(y) - 2 * float(k(x, y).mean())


def test_kid_is_its_definition_also_for_sets_of_different_sizes() -> None:
    x, y = rows(30, 4, 1), rows(25, 4, 2, 1.5)
    assert kid(x, y) == pytest.approx(truth(x, y), rel=1e-10)


def test_subsets_are_seeded_and_have_no_interval() -> None:
    x, y = Side(features=rows(60, 4, 1)), Side(features=rows(50, 4, 2, 1.5))
    score = KID(subsets=3, subset_size=20).measure(x, y, intervals=True)
    assert score == KID(subsets=3, subset_size=20).measure(x, y, intervals=True)
    assert score.value != KID(subsets=3, subset_size=20, subset_seed=1).measure(x, y).value
    assert score.interval == OVERLAPPING
    with pytest.raises(InvalidSamples, match="50 samples, fewer than the 1000"):
        KID(subsets=3).measure(x, y)


def test_the_variance_is_that_of_the_u_statistic() -> None:
    draws = [(rows(40, 3, 2 * s), rows(30, 3, 2 * s + 1, 1.4) + 0.3) for s in range(400)]
    values, variances = [], []
    for x, y in draws:
        sums = discrepancy(x, y, Polynomial())
        found = orders_of(sums).variances
        values.append(sums.mmd2())
        variances.append((found.real or 0) + found.generated)
    assert float(np.mean(variances)) == pytest.approx(float(np.var(values)), rel=0.25)


def test_subsets_are_drawn_without_replacement() -> None:
    x, y = rows(40, 3, 1), rows(40, 3, 2, 1.5)
    score = KID(subsets=3, subset_size=40).measure(Side(features=x), Side(features=y))
    assert score.value == pytest.approx(truth(x, y), rel=1e-10)  # each of them holds all samples
    assert score.details["std"] == pytest.approx(0, abs=1e-12)


def test_subsets_are_those_of_torch_fidelity_and_their_spread_is_divided_by_their_number() -> None:
    x, y = rows(60, 4, 1), rows(50, 4, 2, 1.5)
    rng, values = np.random.RandomState(2020), []
    for _ in range(3):  # torch-fidelity draws of its first input, the generated samples, first
        of_y = rng.choice(50, 20, replace=False)
        values.append(truth(x[rng.choice(60, 20, replace=False)], y[of_y]))
    score = KID(subsets=3, subset_size=20).measure(Side(features=x), Side(features=y))
    mean = sum(values) / 3
    assert score.value == pytest.approx(mean, rel=1e-10)
    assert score.details["std"] == pytest.approx((sum((value - mean) ** 2 for value in values) / 3) ** 0.5, rel=1e-10)


def exact(x: Real, y: Real) -> float:
    """Unbiased KID without any rounding."""

    def cube(base: Fraction) -> Fraction:
        return base * base * base

    def mean(a: Real, b: Real, *, own: bool) -> Fraction:
        pairs = [
            cube(sum((Fraction(p) * Fraction(q) for p, q in zip(u, v, strict=True)), Fraction(0)) / len(u) + 1)
            for i, u in enumerate(a.tolist())
            for j, v in enumerate(b.tolist())
            if not (own and i == j)
        ]
        return sum(pairs, Fraction(0)) / len(pairs)

    return float(mean(x, x, own=True) + mean(y, y, own=True) - 2 * mean(x, y, own=False))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_far_from_the_origin_kid_keeps_its_digits_as_long_as_there_are_any(offset: float) -> None:
    x, y = rows(10, 8, 0) + offset, rows(12, 8, 1) + offset + 0.2
    assert kid(x, y) == pytest.approx(exact(x, y), rel=1e-2)


@pytest.mark.parametrize(("offset", "scale"), [(1e7, 1.0), (1e8, 1.0), (0.0, 1e30), (0.0, 1e58)])
def test_where_rounding_decides_it_kid_is_refused(offset: float, scale: float) -> None:
    x, y = scale * rows(50, 8, 0) + offset, scale * rows(60, 8, 1) + offset + 0.2
    with pytest.raises(InvalidSamples, match="known to ±"):
        KID().measure(Side(features=x), Side(features=y), intervals=True)


def test_sets_without_any_spread_have_a_kid() -> None:
    assert kid(np.full((5, 3), 0.1), np.full((7, 3), 0.1)) == pytest.approx(0, abs=1e-12)


def test_what_very_many_pairs_cost_is_said_before_they_are_computed() -> None:
    few, many = (Side(features=np.zeros((n, 2048), np.float32)) for n in (1000, 49_000))
    said = KID().advice(many, few)
    assert said is not None
    assert re.fullmatch(
        r"kid compares 50,000 samples with one another, about \d+ (minutes|s) of one core;"
        r" kid\.subsets=100 takes about \d+ (minutes|s)\.",
        said,
    )
    assert KID().advice(few, few) is None
    assert KID(subsets=100).advice(many, many) is None


def test_a_time_is_said_in_seconds_or_minutes() -> None:
    assert [how_long(seconds) for seconds in (0.2, 89, 90, 500)] == ["1 s", "89 s", "2 minutes", "8 minutes"]
