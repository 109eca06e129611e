"""Intervals: what a score would be worth if both sets were drawn again.

Nothing is resampled with replacement: a copy becomes its original's neighbour, and the bias of a score grows with it.
Each metric instead says how much of its variance each side's samples cause, by a jackknife, by its influence function
(the jackknife's limit), or by a closed form; the interval is normal. `benchmarks/coverage.py` measures how often the
intervals hold what they promise.
"""

from dataclasses import dataclass

import numpy as np

from service.metrics.samples import Real

LEVEL = 0.95
QUANTILE = 1.959963984540054  # of the normal distribution, for LEVEL

EXPECTATION = "the expectation of this estimator at these sample sizes"
POPULATION = "the value between the two populations"
FIXED_REFERENCE = "; the reference is taken as fixed"

ALIKE = "every sample contributes the same, which tells nothing of the spread"

FEWEST_OF_A_KIND = 5
TOO_FEW = f"fewer than {FEWEST_OF_A_KIND} samples are on one side of the score; so few do not tell its spread"


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval at LEVEL, and the number that it is to cover."""

    low: float
    high: float
    estimand: str
    standard_error: float
    generated_error: float
    """The standard error with the reference held fixed: what two evaluations on one reference differ by."""


@dataclass(frozen=True, slots=True)
class Variances:
    """What each side's samples add to a score's variance; None for a reference that is taken as fixed."""

    real: float | None
    generated: float

    def interval(
        self,
        value: float,
        estimand: str,
        *,
        lowest: float = -np.inf,
        highest: float = np.inf,
        squared: bool = False,
    ) -> Interval | str:
        """The interval about a value, cut to what the estimand can be; else why there is none.

        A squared distance scatters further upwards than downwards: its root is what is taken to be normal.
        """
        total = (self.real or 0.0) + self.generated
        if not np.isfinite(total):
            return "without one of its samples the score is not finite"
        if total <= 0:
            return ALIKE
        error = float(np.sqrt(total))
        reach = QUANTILE * error
        skew = reach * reach / (4 * value) if squared and value > error else 0.0
        return Interval(
            low=max(value - reach + skew, min(value, lowest)),
            high=min(value + reach + skew, max(value, highest)),
            estimand=estimand if self.real is not None else estimand + FIXED_REFERENCE,
            standard_error=error,
            generated_error=float(np.sqrt(max(self.generated, 0.0))),
        )


def lacks_a_kind(share: float, count: int) -> bool:
    """Whether a share of so many samples lies too close to 0 or 1 for an interval."""
    return min(share, 1 - share) * count < FEWEST_OF_A_KIND * (1 - 1e-9)


def jackknife_variance(left_out: Real) -> float:
    """Variance of a score, from its values (n,) without each sample in turn (Efron and Stein 1981, eq. 1.1)."""
    n = len(left_out)
    return (n - 1) / n * float(np.square(left_out - left_out.mean()).sum())


def influence_variance(influence: Real) -> float:
    """Variance of a score, from the n-fold derivative (n,) by each sample's weight: the infinitesimal jackknife."""
    return float(influence.var(ddof=1)) / len(influence)


def permutation_p_value(observed: float, permuted: Real) -> float:
    """Share of all permutations, the observed one among them, that score at least as much."""
    margin = 1e-12 * (abs(observed) + float(np.abs(permuted).max(initial=0.0)))
    return float((1 + (permuted >= observed - margin).sum()) / (1 + len(permuted)))
