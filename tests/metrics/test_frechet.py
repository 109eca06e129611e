import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.metrics import frechet
from service.metrics.frechet import FullRank, Rooted, distance, gaussian_of
from service.metrics.statistics import Statistics

Real = NDArray[np.float64]


def truth(sx: Real, sy: Real) -> float:
    """The distance of two covariances as they stand in double precision, in forty digits."""
    with mp.workdps(40):
        x, y = mp.matrix(sx.tolist()), mp.matrix(sy.tolist())
        L = mp.cholesky(x)  # noqa: N806 - the module's own letter
        λ = mp.eigsy(L.T * y * L, eigvals_only=True)
        return float(sum(x[i, i] + y[i, i] for i in range(len(sx))) - 2 * sum(map(mp.sqrt, λ)))


@pytest.mark.parametrize("least", [1.0, 1e-3, 1e-7], ids=["well", "fairly", "ill"])
def test_full_rank_covariances_keep_their_digits_however_they_are_conditioned(least: float) -> None:
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.standard_normal((16, 16)))[0]
    spectrum = np.repeat([1.0, least], 8) * rng.uniform(1, 2, 16)
    sx, sy = ((rotation * (spectrum * rng.uniform(1, 2, 16))) @ rotation.T for _ in range(2))
    sx, sy = (sx + sx.T) / 2, (sy + sy.T) / 2
    found = distance(Statistics(np.zeros(16), sx), Statistics(np.zeros(16), sy))
    assert isinstance(found.product, FullRank)
    assert found.raw == pytest.approx(truth(sx, sy), abs=1e-13 * float(sx.trace() + sy.trace()))


def flat(*variances: float) -> Statistics:
    return Statistics(np.zeros(len(variances)), np.diag(variances))


def test_a_small_variance_counts_beside_a_large_one_and_one_that_is_nothing() -> None:
    found = distance(flat(1.0, 1e-8, 0.0), flat(1.0, 4e-8, 0.0))
    assert found.raw == pytest.approx((2e-4 - 1e-4) ** 2, rel=1e-6)
    assert found.rank == 2


@pytest.mark.parametrize(("least", "is_one"), [(-1e-7, True), (-1e-3, False)])
def test_a_covariance_may_have_a_negative_eigenvalue_as_small_as_single_precision_makes_them(
    least: float, *, is_one: bool
) -> None:
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    spoilt = (rotation * [1, 1, 1, 1, 1, least]) @ rotation.T
    statistics = Statistics(np.zeros(6), (spoilt + spoilt.T) / 2)
    if is_one:
        assert distance(flat(*[1.0] * 6), statistics).raw == pytest.approx(1, abs=1e-5)
    else:
        with pytest.raises(InvalidSamples, match="negative eigenvalue"):
            distance(flat(*[1.0] * 6), statistics)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (20, 30), (30, 20)])
def test_eigenvalues_of_few_samples_give_what_singular_values_do(
    monkeypatch: pytest.MonkeyPatch, n: int, m: int
) -> None:
    rng = np.random.default_rng(0)
    sides = [gaussian_of(rng.normal(size=(count, 200)) + 3, "given") for count in (n, m)]
    slow = distance(*sides)
    monkeypatch.setattr(frechet, "CHEAP", 0)
    fast = distance(*sides)
    assert isinstance(fast.product, Rooted)
    assert frechet._by_eigenvalues(fast.product.A) is not None
    assert fast.raw == pytest.approx(slow.raw, rel=1e-12)
    assert fast.rank == slow.rank == min(n, m) - 1


def test_few_samples_of_which_one_is_a_copy_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 200))
    rows[1] = rows[0]
    side, other = gaussian_of(rows, "given"), gaussian_of(rows[::-1] * 2, "given")
    slow = distance(side, other)
    monkeypatch.setattr(frechet, "CHEAP", 0)
    assert distance(side, other).raw == slow.raw
