"""The 1-Wasserstein distance between two sets, exact (Peyré and Cuturi 2019, arXiv 1803.00567, section 2.3).

    W₁ = min over couplings T of Σ T_ij ‖x_i − y_j‖,   weights 1/n and 1/m

Biased upwards, heavily so in many dimensions: 1,000 samples of one N(0, I₆₄) and 1,000 others of it read 8.92. Compare
with the noise floor. The cost grows with the cube of the samples, so larger sets are refused and never measured by
something else; `sliced_wasserstein` is a metric of its own.
"""

from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.distances import distances
from service.metrics.metric import NOT_ASKED, About, Metric, Score, Side, lacks_features
from service.metrics.samples import Rows, check_pair
from service.metrics.transport import Plan, transport
from service.metrics.uncertainty import EXPECTATION, Variances, influence_variance

LARGEST = 5000


class Wasserstein(Metric):
    """The least mean Euclidean distance by which one set has to be moved onto the other."""

    about = About(
        title="Wasserstein distance",
        better="lower",
        generated="features",
        reference="features",
        samples=(
            "As many as are affordable, at most 5,000 a side; in many dimensions the value stays far too high with any"
            " number of them."
        ),
        use="For few dimensions, such as points in the plane. Compare with the noise floor, and only at equal sizes.",
    )

    largest: int = Field(LARGEST, ge=2, le=LARGEST, description="Samples a side above which it is refused.")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of both sides."""
        return lacks_features(real, generated)

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The distance; its interval is from the spread of the dual potentials (del Barrio and Loubes 2019)."""
        assert real.features is not None, "lacks() is asked first"
        assert generated.features is not None, "lacks() is asked first"
        plan = _plan(real.features, generated.features, self.largest)
        if not intervals:
            return Score(plan.cost, interval=NOT_ASKED)
        variances = Variances(real=influence_variance(plan.f), generated=influence_variance(plan.g))
        return Score(plan.cost, interval=variances.interval(plan.cost, EXPECTATION, lowest=0.0))


def wasserstein(real: Rows, generated: Rows) -> float:
    """W₁ of features (n, d) and (m, d). Raises InvalidSamples."""
    return _plan(real, generated, LARGEST).cost


def _plan(real: Rows, generated: Rows, largest: int) -> Plan:
    check_pair(real, generated)
    n, m = len(real), len(generated)
    if max(n, m) > largest:
        raise InvalidSamples(
            f"The exact wasserstein distance is measured on at most {largest:,} samples a side; there are {n:,} and "
            f"{m:,}. Send fewer, or measure sliced_wasserstein."
        )
    return transport(distances(real, generated))
