"""Whether a loss tells how good the samples are: its rank correlation with FID over a training."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from experiments.collapse.record import Correlation, Correlations
from service.training.history import Row

CORRELATED = {
    "discriminator_loss": "discriminator loss",
    "generator_loss": "generator loss",
    "distance": "estimated distance",
    "penalty": "penalty",
    "real_energy": "energy of real",
    "fake_energy": "energy of generated",
}
"""Measures of a history and what they are called."""
SMOOTHED = 10
"""Rows whose mean is set beside the FID at their end."""
FEWEST = 5
"""Measurements of FID without which nothing is said."""


def correlate(rows: Sequence[Row]) -> Correlations | None:
    """The rank correlation of each mean loss with the FID of the same moment; None where too few were measured."""
    places = [place for place, row in enumerate(rows) if np.isfinite(row.get("fid", np.nan))]
    if len(places) < FEWEST:
        return None
    distances = [rows[place]["fid"] for place in places]
    found = {}
    for name in CORRELATED:
        if name in rows[-1]:
            before = [rows[max(0, place + 1 - SMOOTHED) : place + 1] for place in places]
            means = [np.mean([row[name] for row in part if name in row]) for part in before]
            # what never changes goes with nothing
            if np.isfinite(means).all() and min(np.ptp(means), np.ptp(distances)) > 0:
                result = spearmanr(means, distances)
                found[name] = Correlation(rho=round(float(result.statistic), 4), p=float(f"{result.pvalue:.3g}"))
    return Correlations(moments=len(places), of=found)
