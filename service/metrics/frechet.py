"""The Fréchet distance between two Gaussians: squared, exact also where covariances are singular.

    ‖μx − μy‖² + tr Σx + tr Σy − 2 tr (Σx Σy)^½

The last term is the nuclear norm ‖Rx Ryᵀ‖∗ of any roots Rᵀ R = Σ: Cholesky's at full rank. A root of fewer rows than
dimensions is read from the centred samples themselves, which keeps the digits that the covariance has already lost:
the usual tools are 3e-4 low at 1,000 × 2,048.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpstrf, dsygst

from service.errors import InvalidSamples
from service.metrics.samples import Real, Rows, check_dimensions, check_features
from service.metrics.statistics import Statistics, statistics_of

EPS = float(np.finfo(np.float64).eps)
NEGATIVE = 1e-5  # share of a matrix's norm by which it may miss being a covariance: single precision does
PROBES = 4  # directions along which that is seen
TRUSTED = 1e-10  # share of tr Σx + tr Σy that rounding may move the fast path before the exact one is taken


@dataclass(frozen=True, slots=True, eq=False)
class FewSamples:
    """A mean (d,) and a root (n, d), rootᵀ root = Σ, of n ≤ d samples."""

    mean: Real
    root: Real
    count: int


Gaussian = Statistics | FewSamples


@dataclass(frozen=True, slots=True, eq=False)
class FullRank:
    """L with L Lᵀ = Σx and M = Lᵀ Σy L, of which the lower triangle counts, at unit traces."""

    L: Real
    M: Real


@dataclass(frozen=True, slots=True, eq=False)
class Rooted:
    """Roots (r, d) and (s, d) of the covariances, and A = Rx Ryᵀ at unit traces."""

    rx: Real
    ry: Real
    A: Real


@dataclass(frozen=True, slots=True, eq=False)
class Distance:
    """The distance's parts as they come out of the arithmetic, and the product of the covariances behind them.

    The parts' sum may be below zero by rounding. The product is None where a side does not vary.
    """

    real: Gaussian
    generated: Gaussian
    mean_part: float
    covariance_part: float
    rank: int
    product: FullRank | Rooted | None

    @property
    def raw(self) -> float:
        """The distance."""
        return self.mean_part + self.covariance_part

    @property
    def value(self) -> float:
        """The distance, which is not negative."""
        return max(self.raw, 0.0)


def gaussian_of(features: Rows, whose: str) -> Gaussian:
    """The Gaussian with the moments of features (n, d). Raises InvalidSamples."""
    check_features(features, whose)
    n, d = features.shape
    if n > d:
        return statistics_of(features, whose)
    root = features.astype(np.float64)
    mean = root.mean(axis=0)
    root -= mean
    root /= np.sqrt(n - 1)
    return FewSamples(mean, root, n)


def distance(real: Gaussian, generated: Gaussian) -> Distance:
    """The distance. Raises InvalidSamples where the two differ in dimension or hold what is no covariance."""
    check_dimensions(len(real.mean), len(generated.mean))
    step = real.mean - generated.mean
    x, y = trace_of(real), trace_of(generated)
    σ, product = _singular_values(real, generated, x, y)
    rank = int((σ > σ.max(initial=0.0) * max(len(real.mean), len(σ)) * EPS).sum()) if product else 0
    cross = float(np.sqrt(x) * np.sqrt(y)) * float(σ.sum())
    return Distance(real, generated, float(step @ step), x + y - 2 * cross, rank, product)


def trace_of(gaussian: Gaussian) -> float:
    """The sum of the variances."""
    if isinstance(gaussian, FewSamples):
        return float(np.vdot(gaussian.root, gaussian.root))
    return float(gaussian.covariance.trace())


def _singular_values(real: Gaussian, generated: Gaussian, x: float, y: float) -> tuple[Real, FullRank | Rooted | None]:
    """Of Σx^½ Σy^½, at unit traces so that no scale under- or overflows."""
    if x <= 0 or y <= 0:
        return np.zeros(0), None
    if isinstance(real, Statistics) and isinstance(generated, Statistics):
        found = _by_cholesky(real.covariance / x, generated.covariance / y)
        if found is not None:
            return found
    rx, ry = root_of(real), root_of(generated)
    A: Real = rx @ ry.T
    A /= np.sqrt(x) * np.sqrt(y)
    σ = np.linalg.svd(A, compute_uv=False).astype(np.float64, copy=False)
    return σ, Rooted(rx, ry, A)


def _by_cholesky(sx: Real, sy: Real) -> tuple[Real, FullRank] | None:
    """σ(Lᵀ Σy L)^½ with L Lᵀ = Σx, from its eigenvalues where these keep the digits: they cost half.

    None where a covariance is singular.
    """
    L, failed = dpotrf(sx, lower=1)
    if failed:
        return None
    M, _ = dsygst(sy, L, itype=2, lower=1)  # Lᵀ Σy L in the time of half a matrix product
    λ = np.linalg.eigvalsh(M)
    product = FullRank(L, M)
    if λ[0] > λ[-1] * len(λ) * EPS:
        noise = EPS * λ[-1] * float((0.5 / np.sqrt(λ)).sum())  # each λ is known to eps · λmax
        if noise <= TRUSTED:
            return np.sqrt(λ), product
    other, failed = dpotrf(sy, lower=1)
    if failed:
        return None
    σ = np.linalg.svd(L.T @ other, compute_uv=False)
    return (σ, product) if σ[-1] > σ[0] * len(σ) * EPS else None


def root_of(gaussian: Gaussian) -> Real:
    """R (r, d) with Rᵀ R = Σ; of a covariance, without the directions in which it is rounding noise.

    Raises InvalidSamples for a matrix that is no covariance.
    """
    if isinstance(gaussian, FewSamples):
        return gaussian.root
    Σ = gaussian.covariance
    tolerance = float(Σ.diagonal().max()) * len(Σ) * EPS
    L, order, rank, _ = dpstrf(Σ.T, lower=1, tol=tolerance)  # pivots fall, so that noise comes last
    root = np.zeros((rank, len(Σ)))
    root[:, order - 1] = np.tril(L[:, :rank]).T
    probes = np.random.default_rng(0).standard_normal((len(Σ), PROBES))
    whole = Σ @ probes
    if np.linalg.norm(whole - root.T @ (root @ probes)) > NEGATIVE * np.linalg.norm(whole):
        raise InvalidSamples("The statistics hold a matrix that is not a covariance: it has a negative eigenvalue.")
    return root
