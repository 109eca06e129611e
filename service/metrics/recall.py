"""Recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 2): whether the generator reaches the real samples.

    recall = share of x with ‖x − y‖ < distance of y to its k-th generated neighbour, for some generated y

Strict, and with k = 5, as in prdc; copies in the generated set have balls of radius 0, which hold nothing.
"""

from service.metrics.balls import PARTS, BallMetric, BallScore, share_covered
from service.metrics.metric import About
from service.metrics.neighbours import Neighbourhood
from service.metrics.uncertainty import Variances


class Recall(BallMetric):
    """Share of the real samples that lie in a generated sample's ball."""

    about = About(
        title="Recall",
        better="higher",
        generated="features",
        reference="features",
        samples="Some thousands, and as many on both sides; more than `k` are needed.",
        use=(
            "To see whether parts of the data are missing; beside `precision`. Odd generated samples have large balls:"
            " `coverage` has none about them."
        ),
        parts=PARTS,
    )

    def score(self, around: Neighbourhood) -> BallScore:
        """The share and its variance."""
        generated, real = around.generated.points.counts, around.real.points.counts
        share, own, balls = share_covered(real, around.in_generated_balls, generated)
        return BallScore(share, Variances(real=own, generated=balls))
