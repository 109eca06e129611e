"""Memorisation, the share of generated samples that are not authentic (Alaa et al. 2022, arXiv 2102.08921, section 4).

    memorisation = share of y with ‖y − x‖ ≤ ‖x − x'‖,   x nearest to y among the real, x' nearest to x among the real

Such a sample is closer to a real one than any real one is: a copy with noise. `authenticity`, which other tools
print in per cent as AuthPct, is one minus it. A perfect generator has about a third to a half, because its samples are
as close as real ones are; compare with the noise floor. Of several nearest x, each counts its fraction. What is known
to be an exact copy of any reference sample, also of one whose features are not kept, counts as one.
"""

import numpy as np
from numpy.typing import NDArray

from service.metrics.balls import NEIGHBOURS, lacks_neighbours
from service.metrics.metric import NOT_ASKED, About, Metric, Score, Side
from service.metrics.neighbours import Neighbourhood, neighbourhood
from service.metrics.uncertainty import EXPECTATION, Variances


class Memorisation(Metric):
    """Share of the generated samples that are closer to a real one than another real one is."""

    about = About(
        title="Memorisation",
        better="lower",
        generated="features",
        reference="features",
        samples="Some thousands a side, the reference being the very images that the generator learnt from.",
        use=(
            "To see whether a generator copies its training images. Compare with the noise floor: a third to a half is"
            " what real samples score."
        ),
        parts={
            "authenticity": "One minus the value; other tools print it in per cent as AuthPct.",
        },
    )

    looks_at_neighbours = True

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of two samples a side."""
        return lacks_neighbours(real, generated, 1)

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The share, with a jackknife on the fixed graph of neighbours."""
        around = neighbourhood(real, generated, NEIGHBOURS)
        value, variances = _share(around, generated.copied)
        interval = variances.interval_of_share(value, EXPECTATION) if intervals else NOT_ASKED
        return Score(value, {"authenticity": 1 - value}, interval=interval)


def _share(around: Neighbourhood, known: NDArray[np.bool_] | None) -> tuple[float, Variances]:
    """The share, and its variance: of the real samples half the jackknife, since memory is an affair of two of them."""
    nearest, weights = around.to_real, around.real.points.counts
    close = nearest.squares[nearest.of] <= around.real.alone[nearest.to]
    copied = np.bincount(nearest.of, weights=weights[nearest.to] * close) / nearest.weighted(weights)
    counts = around.generated.points.counts
    if known is not None:
        copied[around.generated.points.of_sample[known]] = 1.0  # of whatever reference sample, kept or not
    m, n = counts.sum(), around.real.points.total
    value = float(counts @ copied / m)
    own = float(counts @ np.square(copied - value)) / m**2
    lost = np.bincount(nearest.first(), weights=counts, minlength=len(weights)) * (weights == 1)
    lost_copies = np.bincount(nearest.first(), weights=counts * copied, minlength=len(weights)) * (weights == 1)
    left_out = (m * value - lost_copies) / np.maximum(m - lost, 1)
    mean = float(weights @ left_out) / n
    others = float(weights @ np.square(left_out - mean)) * (n - 1) / n / 2
    return value, Variances(real=others, generated=own)
