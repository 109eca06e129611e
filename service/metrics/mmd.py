"""Squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13, lemma 6 and eq. 3–5), with the kernel named.

    MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y),   k(a, b) = exp( −‖a − b‖² / 2σ² )

Unbiased: pairs of a sample with itself are left out, so that equal distributions average 0 and a value may be
negative. σ is the median distance within the reference, so that two generators are measured with one kernel. `p_value`
is that of a permutation test with this kernel on at most 1,000 samples a side.
"""

from collections import Counter
from typing import Literal

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.distances import TILE_ROWS, centre_of, norms_of, squared_distances, tiles
from service.metrics.kernel_interval import kernel_interval
from service.metrics.kernel_metric import KernelMetric, sums_of
from service.metrics.kernel_precision import discrepancy
from service.metrics.kernel_sums import matrix
from service.metrics.kernels import Gaussian, Kernel, Polynomial, RationalQuadratic
from service.metrics.metric import NOT_ASKED, About, Detail, Score, Side
from service.metrics.samples import Real, Rows, check_features, check_pair
from service.metrics.uncertainty import EXPECTATION, POPULATION, permutation_p_value

MEDIAN_ROWS = 5000  # 12.5 million distances, 100 MB; more rows no longer move the median
PERMUTED_ROWS = 1000  # a side: the permutation test holds one kernel matrix of both, 32 MB


class MMD(KernelMetric):
    """How far apart the two sets' mean embeddings are."""

    about = About(
        title="Maximum mean discrepancy",
        better="lower",
        generated="features",
        reference="features",
        samples="25 a side for an interval; some thousands a side where the difference is small.",
        use=(
            "For features of any kind, with an unbiased value, an interval and a p-value at any sample size. Two"
            " values compare only at one kernel and bandwidth, which the report names."
        ),
        parts={
            "root": "The square root of the value; 0 where that is negative.",
            "sigma": "The kernel's bandwidth; the polynomial kernel has none.",
            "p_value": "Share of permutations of the labels with at least this value; only with intervals.",
        },
        words={
            "estimator": "Unbiased or biased.",
            "kernel": "The kernel's name.",
            "sigma_rule": "Where the bandwidth comes from.",
        },
    )

    kernel: Literal["gaussian", "rational_quadratic", "polynomial"] = Field(
        "gaussian", description="The kernel, by name."
    )
    bandwidth: Literal["median", "mean"] = Field(
        "median", description="Rule for σ: the reference's median distance, or the root of its mean squared distance."
    )
    sigma: float | None = Field(None, gt=0, allow_inf_nan=False, description="Bandwidth instead of the rule.")
    estimator: Literal["unbiased", "biased"] = Field("unbiased", description="U- or V-statistic.")
    permutations: int = Field(199, ge=19, le=10_000, description="Permutations of the labels behind the p-value.")

    def kernel_for(self, real: Side) -> Kernel:
        """The kernel of the name, at the bandwidth of the rule."""
        return self._described(real)[0]

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:
        """The score, with the kernel that gave it."""
        assert real.features is not None, "lacks() is asked first"
        assert generated.features is not None, "lacks() is asked first"
        check_pair(real.features, generated.features)
        kernel, described = self._described(real)
        sums = sums_of(kernel, real, generated)
        value = sums.mmd2(unbiased=self.estimator == "unbiased")
        details = {"root": float(np.sqrt(max(value, 0.0))), "estimator": self.estimator, **described}
        if not intervals:
            return Score(value, details, interval=NOT_ASKED)
        details["p_value"] = _p_value(real.features, generated.features, kernel, self.permutations, seed)
        return Score(value, details, interval=kernel_interval(sums, value, self._estimand(described)))

    def _described(self, real: Side) -> tuple[Kernel, dict[str, Detail]]:
        return real.remember(("kernel", self), lambda: self._kernel(real))

    def _kernel(self, side: Side) -> tuple[Kernel, dict[str, Detail]]:
        assert side.features is not None, "lacks() is asked first"
        real = side.features
        if self.kernel == "polynomial":
            return Polynomial(), {"kernel": "polynomial of degree 3"}
        if self.sigma is not None:
            σ, rule = self.sigma, "given"
        elif self.bandwidth == "mean":
            σ, rule = root_mean_square_distance(real), "root of the mean squared distance of the reference rows"
        else:
            σ, rule = median_distance(real), f"median distance of {min(len(real), MEDIAN_ROWS):,} reference rows"
        if not 0 < σ * σ < np.inf:
            raise InvalidSamples(f"mmd cannot be measured with a bandwidth of {σ:g}: its square is no number.")
        kernel = Gaussian(σ) if self.kernel == "gaussian" else RationalQuadratic(σ)
        return kernel, {"kernel": self.kernel, "sigma": σ, "sigma_rule": rule}

    def _estimand(self, described: dict[str, Detail]) -> str:
        estimand = POPULATION if self.estimator == "unbiased" else EXPECTATION
        return f"{estimand}, at this bandwidth" if "sigma" in described else estimand


def mmd2(real: Rows, generated: Rows, *, sigma: float, unbiased: bool = True) -> float:
    """MMD² of features (n, d) and (m, d) with a Gaussian kernel, in tiles. Raises InvalidSamples."""
    return discrepancy(real, generated, Gaussian(sigma)).mmd2(unbiased=unbiased)


def median_distance(features: Rows) -> float:
    """Median Euclidean distance between two rows, of at most MEDIAN_ROWS evenly spaced ones.

    Raises InvalidSamples where it is 0: half of all pairs are copies and there is no scale to measure with.
    """
    check_features(features, "reference")
    every = np.linspace(0, len(features) - 1, min(len(features), MEDIAN_ROWS)).astype(np.int64)
    x = features[every].astype(np.float64) + 0.0  # −0 becomes 0, so that equal rows have equal bytes
    pairs = len(x) * (len(x) - 1) // 2
    copies = Counter(row.tobytes() for row in x).values()
    if sum(c * (c - 1) // 2 for c in copies) > pairs // 2:
        raise InvalidSamples(
            "The median distance within the reference is 0, because most of its samples are copies of each other; "
            "there is no bandwidth for mmd."
        )
    squares, filled = np.empty(pairs), 0
    x -= x.mean(axis=0)
    for start in range(0, len(x), TILE_ROWS):
        for row, others in enumerate(squared_distances(x[start : start + TILE_ROWS], x[start:])):
            later = others[row + 1 :]
            squares[filled : filled + len(later)] = later
            filled += len(later)
    middle = (pairs - 1) // 2, pairs // 2
    squares.partition(middle)
    return float(np.sqrt(squares[list(middle)]).mean())  # roots keep the order, so two of them are enough


def root_mean_square_distance(features: Rows) -> float:
    """√ of the mean ‖x − x'‖² over all pairs of rows, those of a row with itself among them.

    Raises InvalidSamples where it is 0: all rows are copies of one.
    """
    check_features(features, "reference")
    if (features == features[0]).all():
        raise InvalidSamples("The samples of the reference are copies of one; there is no bandwidth for mmd.")
    norms = [norms_of(tile) for _, tile in tiles(features, centre_of(features))]
    return float(np.sqrt(2 * np.concatenate(norms).mean()))


def _p_value(real: Rows, generated: Rows, kernel: Kernel, permutations: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    x, y = (_some(rows, rng) for rows in (real, generated))
    k = matrix(np.concatenate([x, y]), kernel)
    np.fill_diagonal(k, 0.0)
    first = np.zeros((len(k), permutations + 1))
    first[: len(x), 0] = 1
    for column in range(1, permutations + 1):
        first[:, column] = rng.permutation(first[:, 0])
    values = _permuted(k, first, len(x), len(y))
    return permutation_p_value(float(values[0]), values[1:])


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    if len(rows) <= PERMUTED_ROWS:
        return rows
    return rows[np.sort(rng.permutation(len(rows))[:PERMUTED_ROWS])]


def _permuted(k: Real, first: Real, n: int, m: int) -> Real:
    """Unbiased MMD² for each column of labels (n + m, permutations), 1 for the first set; k has a diagonal of zeros."""
    towards = k @ first
    within = (first * towards).sum(axis=0)
    across = towards.sum(axis=0) - within
    rest = k.sum() - within - 2 * across
    values: Real = within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)
    return values
