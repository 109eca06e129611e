"""Precision (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 2): whether generated samples look real.

    precision = share of y with ‖y − x‖ < distance of x to its k-th real neighbour, for some real x

Strict, and with k = 5, as in prdc.
"""

from service.metrics.balls import PARTS, BallMetric, BallScore, share_covered
from service.metrics.metric import About
from service.metrics.neighbours import Neighbourhood
from service.metrics.uncertainty import Variances


class Precision(BallMetric):
    """Share of the generated samples that lie in a real sample's ball."""

    about = About(
        title="Precision",
        better="higher",
        generated="features",
        reference="features",
        samples="Some thousands, and as many on both sides; more than `k` are needed.",
        use=(
            "To see whether what is generated looks real, apart from whether anything is missing; beside `recall`. A"
            " single odd real sample has a large ball: `density` minds it less."
        ),
        parts=PARTS,
    )

    def score(self, around: Neighbourhood) -> BallScore:
        """The share and its variance."""
        generated, real = around.generated.points.counts, around.real.points.counts
        share, own, balls = share_covered(generated, around.in_real_balls, real)
        return BallScore(share, Variances(real=balls, generated=own))
