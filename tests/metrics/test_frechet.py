import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.frechet import FullRank, distance
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
