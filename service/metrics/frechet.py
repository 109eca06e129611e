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
from service.metrics.distances import norms_of
from service.metrics.samples import Real, Rows, check_dimensions, check_features
from service.metrics.statistics import Statistics, statistics_of

EPS = float(np.finfo(np.float64).eps)
NEGATIVE = 1e-5  # share of a matrix's norm by which it may miss being a covariance: single precision does
PROBES = 4  # directions along which that is seen
ROUNDING = 4.0  # ulps of the traces by which their difference may be wrong
NEGLIGIBLE = 1e-6  # share of the other directions that this may be before anybody has to be told
SEEN = 1e-2  # share of the distance
CHEAP = 256  # samples of the smaller side up to which singular values cost next to nothing
SURE = 64.0  # roundings of the largest eigenvalue from which on one that cannot be 0 is no rounding
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
    σ, product, noise = _singular_values(real, generated, x, y)
    rank = int((σ > σ.max(initial=0.0) * max(len(real.mean), len(σ)) * EPS).sum()) if product else 0
    cross = float(np.sqrt(x) * np.sqrt(y)) * float(σ.sum())
    found = Distance(real, generated, float(step @ step), x + y - 2 * cross, rank, product)
    _check_digits(real, generated, σ, noise, found.value)
    return found


def _check_digits(real: Gaussian, generated: Gaussian, σ: Real, share: float, value: float) -> None:
    """Refuse a distance that rounding decides: one direction varies so much more that the others are lost in it.

    `share` is that of the traces by which the value may be wrong. Raises InvalidSamples.
    """
    columns = _variances(real) + _variances(generated)
    others = (float(np.sort(parts)[:-1].sum() / parts.sum()) for parts in (columns, σ) if parts.sum() > 0)
    noise = share * float(columns.sum())
    if noise > SEEN * value and any(0 < other < share / NEGLIGIBLE for other in others):
        raise InvalidSamples(
            f"The Fréchet distance is known to ±{noise:.2g} only: one direction of the features varies so much more"
            " than the others that these are lost in rounding. Bring the features to one scale first."
        )


def _variances(gaussian: Gaussian) -> Real:
    """Of each dimension (d,)."""
    if isinstance(gaussian, FewSamples):
        return norms_of(gaussian.root.T)
    return gaussian.covariance.diagonal()


def trace_of(gaussian: Gaussian) -> float:
    """The sum of the variances."""
    if isinstance(gaussian, FewSamples):
        return float(np.vdot(gaussian.root, gaussian.root))
    return float(gaussian.covariance.trace())


def _singular_values(
    real: Gaussian, generated: Gaussian, x: float, y: float
) -> tuple[Real, FullRank | Rooted | None, float]:
    """Of Σx^½ Σy^½, at unit traces so that no scale under- or overflows; and by how much their sum may be wrong."""
    if x <= 0 or y <= 0:
        return np.zeros(0), None, ROUNDING * EPS
    if isinstance(real, Statistics) and isinstance(generated, Statistics):
        found = _by_cholesky(_by_columns(real.covariance) / x, _by_columns(generated.covariance) / y)
        if found is not None:
            return found
    rx, ry = root_of(real), root_of(generated)
    A: Real = rx @ ry.T
    A /= np.sqrt(x) * np.sqrt(y)
    product = Rooted(rx, ry, A)
    both_few = isinstance(real, FewSamples) and isinstance(generated, FewSamples)
    if both_few and min(A.shape) > CHEAP and (roots := _by_eigenvalues(A)):
        return roots[0], product, roots[1]
    σ = np.linalg.svd(A, compute_uv=False).astype(np.float64, copy=False)
    return σ, product, ROUNDING * EPS


def _by_eigenvalues(A: Real) -> tuple[Real, float] | None:
    """The singular values of X Yᵀ of centred samples, from the eigenvalues of A Aᵀ: they cost half.

    The rows of centred samples add up to nothing, so A has a value that is 0, of which a root would be noise. A
    reflection that brings the sum of all rows into the first one takes it away (Householder 1958). None where the
    others do not keep their digits.
    """
    n, m = A.shape
    B = A[1:] + A[0] / (np.sqrt(n) - 1)
    B = B[:, 1:] + B[:, :1] / (np.sqrt(m) - 1)
    λ = np.linalg.eigvalsh(B @ B.T if n <= m else B.T @ B)
    return _roots(λ, SURE * EPS)


def _roots(λ: Real, least: float) -> tuple[Real, float] | None:
    """The roots of eigenvalues, and by how much their sum may be wrong; None where rounding decides too much of it.

    `least` is the share of the largest one below which an eigenvalue may be nothing but rounding.
    """
    if λ[0] <= λ[-1] * least:
        return None
    noise = EPS * λ[-1] * float((0.5 / np.sqrt(λ)).sum())  # each λ is known to eps · λmax
    return (np.sqrt(λ), max(noise, ROUNDING * EPS)) if noise <= TRUSTED else None


def _by_cholesky(sx: Real, sy: Real) -> tuple[Real, FullRank, float] | None:
    """σ(Lᵀ Σy L)^½ with L Lᵀ = Σx, from its eigenvalues where these keep the digits: they cost half.

    None where a covariance is singular.
    """
    L, failed = dpotrf(sx, lower=1, overwrite_a=1)
    if failed:
        return None
    M, _ = dsygst(sy, L, itype=2, lower=1)  # Lᵀ Σy L in the time of half a matrix product
    λ = np.linalg.eigvalsh(M)
    product = FullRank(L, M)
    if found := _roots(λ, len(λ) * EPS):
        return found[0], product, found[1]
    other, failed = dpotrf(sy, lower=1)
    if failed:
        return None
    σ = np.linalg.svd(L.T @ other, compute_uv=False)
    return (σ, product, ROUNDING * EPS) if σ[-1] > σ[0] * len(σ) * EPS else None


def _by_columns(covariance: Real) -> Real:
    """The same symmetric matrix as LAPACK reads it, without a copy."""
    return covariance.T if covariance.flags.c_contiguous else covariance


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
