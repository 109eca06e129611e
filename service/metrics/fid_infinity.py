"""FID∞ (Chong and Forsyth 2020, arXiv 1911.07023): FID extrapolated to infinitely many samples, on both sides.

    FID(n, m) = FID∞ + a/n + b/m + …   ⇒   FID∞ ≈ 2 FID(n, m) − FID(n/2, m/2)

FID(n/2, m/2) is the mean over two pairs of disjoint random halves, without replacement. The usual way extrapolates the
generated side alone: the reference's bias stays, 0.99 of 2.24 for two draws of 1,000 from one N(0, I₆₄). A reference
that is known by its statistics is taken as it is and the score says so. May be negative.
"""

import numpy as np
from pydantic import Field

from service.metrics.fid_variance import fid_variances
from service.metrics.frechet import Distance, distance, gaussian_of
from service.metrics.metric import NOT_ASKED, About, Detail, Metric, Score, Side
from service.metrics.samples import Rows, check_features, take
from service.metrics.statistics import Statistics
from service.metrics.uncertainty import POPULATION, Interval

FEWEST = 4
STEEP = "half of the samples are no more than the dimensions, where FID is no straight line in 1/n"


class FIDInfinity(Metric):
    """The Fréchet distance between the two populations, extrapolated from two sizes."""

    about = About(
        title="Fréchet distance, extrapolated",
        better="lower",
        generated="features",
        reference="features or statistics",
        samples=(
            "More than twice as many a side as the features have dimensions; with fewer there is a warning and no"
            " interval."
        ),
        use=(
            "To compare generators of which there are different numbers of samples. It scatters more than `fid` and"
            " may be negative."
        ),
        parts={
            "fid": "The Fréchet distance of all samples, not extrapolated.",
            "slope": "Slope of the Fréchet distance in 1/n, n being the generated samples.",
        },
        words={
            "extrapolated": (
                "The sides that were extrapolated: both, or the generated one where the reference is statistics."
            ),
        },
    )

    split_seed: int = Field(0, ge=0, description="Seed that splits the sets into halves.")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of the generated set, and features or statistics of the reference."""
        if real.statistics is None and real.features is None:
            return "features or statistics; the reference has neither"
        if generated.count_of_features < FEWEST:
            return f"the features of at least {FEWEST} samples; the generated set has {generated.count_of_features}"
        if real.statistics is None and real.count_of_features < FEWEST:
            return f"the features of at least {FEWEST} samples; the reference has {real.count_of_features}"
        return None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The extrapolated score, with FID itself and its slope in 1/n beside it."""
        assert generated.features is not None, "lacks() is asked first"
        reference = real.features if real.statistics is None else real.statistics
        assert reference is not None, "lacks() is asked first"
        check_features(generated.features, "generated")
        rng = np.random.default_rng(self.split_seed)
        whole = _distance(reference, generated.features)
        parts = (reference, reference) if isinstance(reference, Statistics) else _halves(reference, rng)
        others = _halves(generated.features, rng)
        half = (_distance(parts[0], others[0]).raw + _distance(parts[1], others[1]).raw) / 2
        value = 2 * whole.raw - half
        sides = "generated" if isinstance(reference, Statistics) else "both sides"
        details: dict[str, Detail] = {
            "fid": whole.value,
            "slope": (half - whole.raw) * len(generated.features),
            "extrapolated": sides,
        }
        warnings = (f"fid_infinity: {STEEP}.",) if _is_steep(reference, generated.features) else ()
        interval = _interval(value, whole, reference, generated.features) if intervals else NOT_ASKED
        return Score(value, details, warnings, interval=interval)


def _distance(real: Rows | Statistics, generated: Rows) -> Distance:
    x = real if isinstance(real, Statistics) else gaussian_of(real, "reference")
    return distance(x, gaussian_of(generated, "generated"))


def _halves(side: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    order = rng.permutation(len(side))
    half = len(side) // 2
    return take(side, np.sort(order[:half])), take(side, np.sort(order[half : 2 * half]))


def _is_steep(real: Rows | Statistics, generated: Rows) -> bool:
    sizes = [len(generated)] if isinstance(real, Statistics) else [len(generated), len(real)]
    return min(sizes) // 2 <= int(generated.shape[1])


def _interval(value: float, found: Distance, real: Rows | Statistics, generated: Rows) -> Interval | str:
    """FID's own variance, uncorrected: the noise that FID does without is what the extrapolation adds."""
    if _is_steep(real, generated):
        return STEEP
    rows = None if isinstance(real, Statistics) else real
    return fid_variances(found, rows, generated, corrected=False).interval(value, POPULATION, squared=True)
