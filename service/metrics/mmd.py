"""Squared maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012, JMLR 13, lemma 6 and eq. 3–5).

    MMD² = E k(x, x') + E k(y, y') − 2 E k(x, y),   k(a, b) = exp( −‖a − b‖² / 2σ² )

Unbiased: pairs of a sample with itself are left out, so that equal distributions average 0 and a value may be
negative. σ is the median distance within the reference, so that two generators are measured with one kernel.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.metric import Metric, Score, Side, lacks_features
from service.metrics.samples import Real, Rows, check_features, check_pair

TILE_ROWS = 1024
MEDIAN_ROWS = 5000  # 12.5 million distances, 100 MB; more rows no longer move the median


class MMD(Metric):
    """How far apart the two sets' mean embeddings are."""

    parts = ("root", "sigma")

    kernel: Literal["gaussian"] = Field("gaussian", description="The kernel, by name.")
    sigma: float | None = Field(None, gt=0, allow_inf_nan=False, description="Bandwidth instead of the median rule.")
    estimator: Literal["unbiased", "biased"] = Field("unbiased", description="U- or V-statistic.")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of both sides."""
        return lacks_features(real, generated)

    def measure(self, real: Side, generated: Side) -> Score:
        """The score, with the kernel that gave it."""
        assert real.features is not None, "lacks() is asked first"
        assert generated.features is not None, "lacks() is asked first"
        check_pair(real.features, generated.features)
        σ = self.sigma or median_distance(real.features)
        value = mmd2(real.features, generated.features, sigma=σ, unbiased=self.estimator == "unbiased")
        rule = "given" if self.sigma else f"median distance of {min(len(real.features), MEDIAN_ROWS):,} reference rows"
        details = {
            "root": float(np.sqrt(max(value, 0.0))),
            "estimator": self.estimator,
            "kernel": self.kernel,
            "sigma": σ,
            "sigma_rule": rule,
        }
        return Score(value, details)


def mmd2(real: Rows, generated: Rows, *, sigma: float, unbiased: bool = True) -> float:
    """MMD² of features (n, d) and (m, d), in tiles. Raises InvalidSamples."""
    check_pair(real, generated)
    γ = 1 / (2 * sigma * sigma)
    within = _mean_within(real, γ, unbiased=unbiased) + _mean_within(generated, γ, unbiased=unbiased)
    return within - 2 * _mean_across(real, generated, γ)


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
        tile = _squared_distances(x[start : start + TILE_ROWS], x[start:])
        above = tile[np.triu_indices(len(tile), k=1, m=tile.shape[1])]
        squares[filled : filled + len(above)] = above
        filled += len(above)
    return float(np.median(np.sqrt(squares, out=squares)))


def _mean_within(rows: Rows, γ: float, *, unbiased: bool) -> float:
    """Mean of k over the pairs of one set, with or without the pairs of a row with itself."""
    n, centre = len(rows), _centre(rows)
    above = 0.0
    for i, a in _tiles(rows, centre):
        for j, b in _tiles(rows, centre, start=i):
            k = _kernel(a, b, γ)
            above += float(np.triu(k, 1).sum()) if i == j else float(k.sum())
    return 2 * above / (n * (n - 1)) if unbiased else (2 * above + n) / (n * n)


def _mean_across(real: Rows, generated: Rows, γ: float) -> float:
    centre = (_centre(real) + _centre(generated)) / 2
    total = 0.0
    for _, a in _tiles(real, centre):
        for _, b in _tiles(generated, centre):
            total += float(_kernel(a, b, γ).sum())
    return total / (len(real) * len(generated))


def _tiles(rows: Rows, centre: Real, start: int = 0) -> Iterator[tuple[int, Real]]:
    """Blocks of rows in float64, centred: an offset that all rows share would cost the distances their digits."""
    for first in range(start, len(rows), TILE_ROWS):
        yield first, rows[first : first + TILE_ROWS].astype(np.float64) - centre


def _centre(rows: Rows) -> Real:
    centre: Real = rows.mean(axis=0, dtype=np.float64)
    return centre


def _kernel(a: Real, b: Real, γ: float) -> Real:
    k = _squared_distances(a, b)
    k *= -γ
    return np.exp(k, out=k)


def _squared_distances(a: Real, b: Real) -> Real:
    squares = a @ b.T
    squares *= -2
    squares += np.square(a).sum(axis=1)[:, None]
    squares += np.square(b).sum(axis=1)
    return np.maximum(squares, 0.0, out=squares)
