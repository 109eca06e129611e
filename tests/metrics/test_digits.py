"""Scores whose digits rounding would eat: right to what is promised, or refused."""

import mpmath
import numpy as np
import pytest

from service.errors import InvalidSamples
from service.metrics.fid import FID
from service.metrics.metric import Side
from service.metrics.mmd import mmd2
from service.metrics.samples import Real

EVEN = np.linspace(-1, 1, 60)


def two_sets(scale: float) -> tuple[Real, Real]:
    """Sets that differ in five directions and share a sixth of another scale."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 6)), 2 * rng.normal(size=(60, 6))
    x[:, 0] = y[:, 0] = scale * EVEN
    return x, y


def fid_of(x: Real, y: Real) -> float:
    return FID().measure(Side(features=x), Side(features=y)).value


def fid_in_eighty_digits(x: Real, y: Real) -> float:
    with mpmath.workdps(80):
        moments = []
        for rows in (x, y):
            a = mpmath.matrix(rows.tolist())
            mean = mpmath.matrix([sum(a[:, j]) / a.rows for j in range(a.cols)])
            centred = mpmath.matrix(a.rows, a.cols)
            for i in range(a.rows):
                for j in range(a.cols):
                    centred[i, j] = a[i, j] - mean[j]
            moments.append((mean, centred.T * centred / (a.rows - 1)))
        (m, s), (n, t) = moments
        root = mpmath.sqrtm(s * t)
        traces = sum(s[i, i] + t[i, i] - 2 * mpmath.re(root[i, i]) for i in range(s.rows))
        return float(sum((m[i] - n[i]) ** 2 for i in range(m.rows)) + traces)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5])
@pytest.mark.parametrize("turned", [False, True])
def test_fid_keeps_its_digits_beside_a_direction_of_another_scale(scale: float, *, turned: bool) -> None:
    x, y = two_sets(scale)
    right = fid_in_eighty_digits(x, y)
    if turned:
        q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
        x, y = x @ q, y @ q
    assert fid_of(x, y) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("scale", [1e8, 1e10])
def test_fid_is_refused_where_one_column_drowns_the_others(scale: float) -> None:
    x, y = two_sets(scale)
    with pytest.raises(InvalidSamples, match="these are lost in rounding"):
        fid_of(x, y)


def test_directions_that_covariances_have_lost_are_told() -> None:
    x, y = two_sets(1e10)
    q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    warnings = FID().measure(Side(features=x @ q), Side(features=y @ q)).warnings
    assert "fid: the covariances share 1 of 6 dimensions; at least one of them is singular" in " ".join(warnings)


def test_directions_that_do_not_vary_at_all_are_no_reason_to_refuse() -> None:
    x = np.zeros((60, 4))
    x[:, 0] = EVEN
    assert fid_of(x, x) == pytest.approx(0.0, abs=1e-14)
    assert fid_of(x, 2 * x) == pytest.approx(float(np.var(EVEN, ddof=1)))


def test_copies_are_copies_at_any_bandwidth_and_far_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 8)) + 1e4
    y = np.concatenate([x[:10], rng.normal(size=(40, 8)) - 1e4])
    # Only a row and its copy have a kernel that is not 0, and that is 1: n / n² + n / n² − 2 · 10 / n².
    assert mmd2(x, y, sigma=1e-7, unbiased=False) == pytest.approx((50 + 50 - 2 * 10) / 50**2, rel=1e-12)
    assert mmd2(x, x, sigma=1e-7, unbiased=False) == 0.0
    assert mmd2(x, y, sigma=1e-7) == pytest.approx(-2 * 10 / 50**2, rel=1e-12)


def test_near_copies_keep_the_digits_of_their_distance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)) + 1e3
    steps = 1e-6 * rng.normal(size=(20, 4))
    right = float(np.exp(-(((x + steps) - x) ** 2).sum(axis=1) / (2 * 1e-6**2)).sum())
    assert mmd2(x, x + steps, sigma=1e-6) == pytest.approx(-2 * right / 20**2, rel=1e-9)
