"""Fréchet Inception Distance (Heusel et al. 2017, arXiv 1706.08500, eq. 6), squared, on whatever features are given.

    FID = ‖μx − μy‖² + tr Σx + tr Σy − 2 tr (Σx Σy)^½

The squared distance, as pytorch-fid prints it. It is biased upwards: two draws of 1,000 from one N(0, I₆₄) read 2.24.
"""

import numpy as np

from service.metrics.fid_variance import fid_variances
from service.metrics.floor import Floor
from service.metrics.frechet import Distance, Gaussian, distance, gaussian_of, root_of
from service.metrics.metric import NOT_ASKED, About, Metric, RowNumbers, Score, Side
from service.metrics.samples import BLOCK_ROWS, Rows, check_pair
from service.metrics.statistics import Moments, Statistics
from service.metrics.uncertainty import EXPECTATION, Interval

DRAWS = 3


class FID(Metric):
    """The Fréchet distance between two Gaussians that share the sets' moments."""

    about = About(
        title="Fréchet distance",
        better="lower",
        generated="features or statistics",
        reference="features or statistics",
        samples=(
            "More a side than the features have dimensions, and as many in every run that is compared: 10,000 to"
            " 50,000 of Inception's 2,048 features."
        ),
        use=(
            "To compare with what papers print. Only means and covariances count, and few samples read too high:"
            " beside other sample sizes take `fid_infinity` or `kid`."
        ),
        parts={
            "raw": "The distance before a value below zero, which rounding leaves, becomes zero.",
            "mean_part": "The squared distance between the means.",
            "covariance_part": "What the covariances add to it.",
            "rank": "Dimensions that both covariances span; fewer than the features have means that one is singular.",
        },
    )

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features or statistics of both sides."""
        for side, whose in ((real, "reference"), (generated, "generated set")):
            if side.statistics is None and side.features is None:
                return f"features or statistics; the {whose} has neither"
        return None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The score, from a side's statistics where it has them."""
        found = distance(_gaussian(real, "reference"), _gaussian(generated, "generated"))
        interval = _interval(found, real, generated) if intervals else NOT_ASKED
        return _score(found, interval)

    falls = True

    def parts_tell_nothing(self, real: Side, generated: Side, part: int) -> str | None:
        """Below as many samples as dimensions the bias is no longer one that falls as 1/n."""
        d = 0 if real.features is None else real.features.shape[1]
        fewest = min(part, *(count for count in (generated.count, real.count) if count is not None))
        if fewest > d:
            return None
        return f"{fewest:,} samples for {d:,} dimensions are too few to tell what real ones would score at these sizes"

    def between_halves(self, real: Side, generated: Side, seed: int) -> float:  # noqa: ARG002
        """The distance of two parts of the features, read block by block: they may be more than memory holds."""
        assert real.features is not None, "asked of features only"
        first, second = real.rows_of_halves(seed)
        return distance(_part_of(real.features, first), _part_of(real.features, second)).value

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:
        """From parts of the reference's features, or the mean over Gaussian draws where only statistics are known."""
        if real.features is not None:
            return super().noise_floor(real, generated, seed=seed)
        if real.statistics is None:
            return super().noise_floor(real, generated, seed=seed)
        if generated.count is None:
            return Floor(None, (), "neither side says how many samples it has")
        draws = _draws(real.statistics, generated.count, seed)
        values = [distance(real.statistics, draw).value for draw in draws]
        spread = float(np.std(values, ddof=1))
        how = f"mean over {DRAWS} seeded draws from the Gaussian of the reference's statistics"
        return Floor(float(np.mean(values)), (generated.count,), how, spread)


def _part_of(features: Rows, rows: RowNumbers) -> Gaussian:
    if len(rows) <= features.shape[1]:
        return gaussian_of(features[rows], "reference")
    moments = Moments(features.shape[1], whose="reference")
    for start in range(0, len(rows), BLOCK_ROWS):
        moments.update(features[rows[start : start + BLOCK_ROWS]])
    return moments.compute()


def fid(real: Rows, generated: Rows) -> Score:
    """FID of features (n, d) and (m, d). Raises InvalidSamples."""
    check_pair(real, generated)
    return FID().measure(Side(features=real), Side(features=generated))


def frechet_distance(real: Statistics, generated: Statistics) -> Score:
    """FID of two means and covariances. Raises InvalidSamples where they differ in dimension or are not covariances."""
    return _score(distance(real, generated), NOT_ASKED)


def _gaussian(side: Side, whose: str) -> Gaussian:
    if side.statistics is not None:
        return side.statistics
    assert side.features is not None, "lacks() is asked first"
    return gaussian_of(side.features, whose)


def _score(found: Distance, interval: Interval | str) -> Score:
    details = {
        "raw": found.raw,
        "mean_part": found.mean_part,
        "covariance_part": found.covariance_part,
        "rank": found.rank,
    }
    return Score(found.value, details, _warnings(found.real, found.generated, found.rank), interval=interval)


def _interval(found: Distance, real: Side, generated: Side) -> Interval | str:
    if generated.statistics is not None or generated.features is None:
        return "the generated samples are known by their statistics only"
    variances = fid_variances(found, None if real.statistics is not None else real.features, generated.features)
    return variances.interval(found.value, EXPECTATION, lowest=0.0, squared=True)


def _warnings(real: Gaussian, generated: Gaussian, rank: int) -> tuple[str, ...]:
    d = len(real.mean)
    few = tuple(
        f"fid: the {whose} set has {side.count:,} samples for {d:,} dimensions; its covariance is singular "
        "and the score is biased upwards."
        for side, whose in ((real, "reference"), (generated, "generated"))
        if side.count is not None and side.count <= d
    )
    if few or rank == d:
        return few
    share = f"fid: the covariances share {rank:,} of {d:,} dimensions"
    return (f"{share}; at least one of them is singular, or as good as that to rounding.",)


def _draws(statistics: Statistics, count: int, seed: int) -> list[Gaussian]:
    """The moments of DRAWS sets of `count` samples from N(μ, Σ)."""
    root, rng = root_of(statistics), np.random.default_rng(seed)
    d = len(statistics.mean)
    draws: list[Gaussian] = []
    for _ in range(DRAWS):
        if count <= d:
            drawn = statistics.mean + rng.standard_normal((count, len(root))) @ root
            draws.append(gaussian_of(drawn, "drawn"))
            continue
        moments = Moments(d, whose="drawn")
        for start in range(0, count, BLOCK_ROWS):
            z = rng.standard_normal((min(BLOCK_ROWS, count - start), len(root)))
            moments.update(statistics.mean + z @ root)
        draws.append(moments.compute())
    return draws
