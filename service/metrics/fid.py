"""Fréchet Inception Distance (Heusel et al. 2017, arXiv 1706.08500, eq. 6), squared, on whatever features are given.

    FID = ‖μx − μy‖² + tr Σx + tr Σy − 2 tr (Σx Σy)^½

The last term is Σ √λ(Lᵀ Σy L) with L Lᵀ = Σx at full rank, else the nuclear norm ‖Rx Ryᵀ‖∗ of any roots Rᵀ R = Σ. A
root of fewer rows than dimensions is read from the centred samples themselves, which keeps the digits that the
covariance has already lost: the usual tools are 3e-4 low at 1,000 × 2,048.
"""

from dataclasses import dataclass

import numpy as np

from service.errors import InvalidSamples
from service.metrics.metric import Floor, Metric, Score, Side
from service.metrics.samples import BLOCK_ROWS, Real, Rows, check_dimensions, check_features, check_pair
from service.metrics.statistics import Moments, Statistics, statistics_of

EPS = float(np.finfo(np.float64).eps)
TRUSTED = 1e-10  # share of tr Σx + tr Σy that rounding may move the fast path before the exact one is taken
DRAWS = 3


@dataclass(frozen=True, slots=True, eq=False)
class _FewSamples:
    """A mean (d,) and a root (n, d), rootᵀ root = Σ, of n ≤ d samples."""

    mean: Real
    root: Real
    count: int


_Moments = Statistics | _FewSamples


class FID(Metric):
    """The Fréchet distance between two Gaussians that share the sets' moments."""

    parts = ("raw", "mean_part", "covariance_part", "rank")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features or statistics of both sides."""
        for side, whose in ((real, "reference"), (generated, "generated set")):
            if side.statistics is None and side.features is None:
                return f"features or statistics; the {whose} has neither"
        return None

    def measure(self, real: Side, generated: Side) -> Score:
        """The score, from a side's statistics where it has them."""
        return _distance(_moments_of(real, "reference"), _moments_of(generated, "generated"))

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:
        """Halves of the reference's features, or the mean over Gaussian draws where only statistics are known."""
        if real.features is not None or real.statistics is None:
            return super().noise_floor(real, generated, seed=seed)
        if generated.count is None:
            return Floor(None, (), "neither side says how many samples it has")
        values = [_distance(real.statistics, draw) for draw in _draws(real.statistics, generated.count, seed)]
        how = f"mean over {DRAWS} seeded draws from the Gaussian of the reference's statistics"
        return Floor(float(np.mean([score.value for score in values])), (generated.count,), how)


def fid(real: Rows, generated: Rows) -> Score:
    """FID of features (n, d) and (m, d). Raises InvalidSamples."""
    check_pair(real, generated)
    return FID().measure(Side(features=real), Side(features=generated))


def frechet_distance(real: Statistics, generated: Statistics) -> Score:
    """FID of two means and covariances. Raises InvalidSamples where they differ in dimension or are not covariances."""
    return _distance(real, generated)


def _moments_of(side: Side, whose: str) -> _Moments:
    if side.statistics is not None:
        return side.statistics
    assert side.features is not None, "lacks() is asked first"
    check_features(side.features, whose)
    n, d = side.features.shape
    if n > d:
        return statistics_of(side.features, whose)
    x = side.features.astype(np.float64)
    mean = x.mean(axis=0)
    return _FewSamples(mean, (x - mean) / np.sqrt(n - 1), n)


def _distance(real: _Moments, generated: _Moments) -> Score:
    check_dimensions(len(real.mean), len(generated.mean))
    step = real.mean - generated.mean
    mean_part = float(step @ step)
    traces = _trace(real) + _trace(generated)
    cross, rank = _trace_of_root(real, generated)
    raw = mean_part + traces - 2 * cross
    details = {"raw": raw, "mean_part": mean_part, "covariance_part": traces - 2 * cross, "rank": rank}
    return Score(max(raw, 0.0), details, _warnings(real, generated, rank))


def _warnings(real: _Moments, generated: _Moments, rank: int) -> tuple[str, ...]:
    d = len(real.mean)
    few = tuple(
        f"fid: the {whose} set has {side.count:,} samples for {d:,} dimensions; its covariance is singular "
        "and the score is biased upwards."
        for side, whose in ((real, "reference"), (generated, "generated"))
        if side.count is not None and side.count <= d
    )
    if few or rank == d:
        return few
    return (f"fid: the covariances share {rank:,} of {d:,} dimensions; at least one of them is singular.",)


def _trace(moments: _Moments) -> float:
    if isinstance(moments, _FewSamples):
        return float(np.square(moments.root).sum())
    return float(moments.covariance.trace())


def _trace_of_root(real: _Moments, generated: _Moments) -> tuple[float, int]:
    """The trace of (Σx Σy)^½ and the product's rank, computed at unit traces: no scale under- or overflows."""
    x, y = _trace(real), _trace(generated)
    if x <= 0 or y <= 0:
        return 0.0, 0
    found = None
    if isinstance(real, Statistics) and isinstance(generated, Statistics):
        found = _by_cholesky(real.covariance / x, generated.covariance / y)
    if found is None:
        found = _nuclear_norm(_root(real) / np.sqrt(x), _root(generated) / np.sqrt(y))
    return float(np.sqrt(x) * np.sqrt(y)) * found[0], found[1]


def _by_cholesky(sx: Real, sy: Real) -> tuple[float, int] | None:
    """Σ √λ(Lᵀ Σy L); None where a covariance is singular or so close to it that the roots of small λ are noise."""
    try:
        L = np.linalg.cholesky(sx)
    except np.linalg.LinAlgError:
        return None
    λ = np.linalg.eigvalsh(L.T @ sy @ L)
    if λ[0] <= λ[-1] * len(λ) * EPS:
        return None
    roots = np.sqrt(λ)
    noise = EPS * λ[-1] * float((0.5 / roots).sum())  # each λ is known to eps · λmax
    return (float(roots.sum()), len(λ)) if noise <= TRUSTED else None


def _nuclear_norm(rx: Real, ry: Real) -> tuple[float, int]:
    σ = np.linalg.svd(rx @ ry.T, compute_uv=False)
    rank = int((σ > σ[0] * max(rx.shape[0], ry.shape[0]) * EPS).sum())
    return float(σ.sum()), rank


def _root(moments: _Moments) -> Real:
    """R (r, d) with Rᵀ R = Σ; of a covariance, without the directions in which it is rounding noise."""
    if isinstance(moments, _FewSamples):
        return moments.root
    λ, V = np.linalg.eigh(moments.covariance)
    if λ[0] < -1e-5 * λ[-1]:
        raise InvalidSamples("The statistics hold a matrix that is not a covariance: it has a negative eigenvalue.")
    kept = λ > λ[-1] * len(λ) * EPS
    root: Real = (V[:, kept] * np.sqrt(λ[kept])).T
    return root


def _draws(statistics: Statistics, count: int, seed: int) -> list[_Moments]:
    """The moments of DRAWS sets of `count` samples from N(μ, Σ)."""
    root, rng = _root(statistics), np.random.default_rng(seed)
    d = len(statistics.mean)
    draws: list[_Moments] = []
    for _ in range(DRAWS):
        if count <= d:
            drawn = statistics.mean + rng.standard_normal((count, len(root))) @ root
            draws.append(_moments_of(Side(features=drawn), "drawn"))
            continue
        moments = Moments(d, whose="drawn")
        for start in range(0, count, BLOCK_ROWS):
            z = rng.standard_normal((min(BLOCK_ROWS, count - start), len(root)))
            moments.update(statistics.mean + z @ root)
        draws.append(moments.compute())
    return draws
