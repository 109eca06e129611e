"""Density (Naeem et al. 2020, arXiv 2002.09797, eq. 3): how deep among real samples generated ones lie.

    density = 1/k · mean over y of the number of x with ‖y − x‖ < distance of x to its k-th real neighbour

Expected 1 for equal distributions, and not bounded by it.
"""

import numpy as np

from service.metrics.balls import PARTS, BallMetric, BallScore
from service.metrics.metric import About
from service.metrics.neighbours import Neighbourhood
from service.metrics.uncertainty import Variances


class Density(BallMetric):
    """Mean number of real balls about a generated sample, in units of k."""

    about = About(
        title="Density",
        better="higher",
        generated="features",
        reference="features",
        samples="Some thousands, and as many on both sides; more than `k` are needed.",
        use=(
            "Instead of `precision` where the reference has outliers. 1 is what real samples score, and it may be"
            " exceeded."
        ),
        parts=PARTS,
    )

    def score(self, around: Neighbourhood) -> BallScore:
        """The density and its variance.

        The balls' variance is half of the jackknife that takes each real sample away, its ball with it, and lets the
        balls that it ended reach one neighbour further: a ball is made by two samples at least, and the jackknife
        counts a statistic of order two twice (Efron and Stein 1981, section 4).
        """
        counts, balls = around.generated.points.counts, around.in_real_balls.balls
        m = counts.sum()
        value = float(counts @ balls / m) / around.k
        own = float(counts @ np.square(balls / around.k - value)) / m**2
        real = around.real
        ended = real.order[:, : around.k]
        regained = np.bincount(
            ended.ravel(), weights=np.repeat(around.in_shells, ended.shape[1]), minlength=len(real.points.rows)
        )
        change = around.holding.balls - regained
        mean = float(real.points.counts @ change) / real.points.total
        others = float(real.points.counts @ np.square(change - mean)) / (around.k * m) ** 2 / 2
        return BallScore(value, Variances(real=others, generated=own), is_a_share=False)
