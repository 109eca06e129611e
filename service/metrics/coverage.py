"""Coverage (Naeem et al. 2020, arXiv 2002.09797, eq. 4): the real samples that have a generated one near.

    coverage = share of x with ‖x − y‖ < distance of x to its k-th real neighbour, for some generated y

Unlike recall it builds no balls about generated samples, so that outliers among them gain nothing.
"""

from service.metrics.balls import PARTS, BallMetric, BallScore, share_covered
from service.metrics.metric import About
from service.metrics.neighbours import Neighbourhood
from service.metrics.uncertainty import Variances


class Coverage(BallMetric):
    """Share of the real samples whose ball holds a generated one."""

    about = About(
        title="Coverage",
        better="higher",
        generated="features",
        reference="features",
        samples="Some thousands, and as many on both sides; more than `k` are needed.",
        use=(
            "Instead of `recall` where generated samples have outliers. It grows with the number of generated samples:"
            " compare equal sizes."
        ),
        parts=PARTS,
    )

    def score(self, around: Neighbourhood) -> BallScore:
        """The share and its variance."""
        generated, real = around.generated.points.counts, around.real.points.counts
        share, own, others = share_covered(real, around.holding, generated)
        return BallScore(share, Variances(real=own, generated=others))
