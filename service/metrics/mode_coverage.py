"""Modes that a generator of points covers, as PacGAN counts them (arXiv 1712.04086, section 4; fjxmlzn/PacGAN).

A point is good within three deviations of its nearest mode; a mode is covered by one good point. With p the shares of
the good points over the M modes, all equally likely in the data:

    reverse KL = Σ p log (M p)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.metrics.samples import Rows, check_features

GOOD_WITHIN = 3.0
"""Deviations."""


class ModeCoverage(NamedTuple):
    """What is left of a mixture in samples of it."""

    modes: int
    good: float
    """Share of the points."""
    reverse_kl: float
    """0 where every mode has its share, log M where there is one mode, or no good point."""


def mode_coverage(points: Rows, modes: Sequence[tuple[float, float]], deviation: float) -> ModeCoverage:
    """Coverage of a mixture by points (n, 2). Raises InvalidSamples where they are not finite."""
    check_features(points, "generated", fewest=1)
    centres = np.asarray(modes, np.float64)  # (M, 2)
    distances = np.linalg.norm(points.astype(np.float64)[:, None] - centres, axis=2)  # (n, M)
    nearest = distances.argmin(axis=1)
    good = distances.min(axis=1) < GOOD_WITHIN * deviation
    found = nearest[good]
    return ModeCoverage(len(np.unique(found)), float(good.mean()), reverse_kl(found, len(centres)))


def reverse_kl(found: NDArray[np.int64], modes: int) -> float:
    """Divergence of the shares of the modes that samples (n,) were found in from even ones over `modes` of them."""
    if not len(found):
        return float(np.log(modes))
    counts = np.unique(found, return_counts=True)[1]
    p = counts / counts.sum()
    return max(float((p * np.log(modes * p)).sum()), 0.0)
