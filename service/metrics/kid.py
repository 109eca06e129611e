"""Kernel Inception Distance (Bińkowski et al. 2018, arXiv 1801.01401, section 4): unbiased MMD² of a cubic kernel.

    k(a, b) = ( a·b / d + 1 )³

On whole sets, in tiles: at 10,000 the same work as the usual 100 random subsets of 1,000, a smaller variance, no
randomness. Two draws of one distribution read 0 on average, so a value may be negative. With `subsets` it is the usual
convention, seeded as torch-fidelity's, of the samples in the order in which they were sent, and gives its number; its
`std` is that of overlapping subsets and no standard error.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.distances import Index
from service.metrics.kernel_interval import kernel_interval
from service.metrics.kernel_metric import KernelMetric, sums_of
from service.metrics.kernel_precision import discrepancies_of_parts, discrepancy
from service.metrics.kernels import Kernel, Polynomial
from service.metrics.linear_algebra import multiplications_a_second
from service.metrics.metric import NOT_ASKED, About, RowNumbers, Score, Side
from service.metrics.samples import Rows
from service.metrics.uncertainty import POPULATION

MANY = 50_000
"""Samples of both sides from which on somebody is told what all their pairs cost."""
USUAL = 100
"""Subsets that papers average over."""
OVERLAPPING = "the subsets overlap; measure whole sets for an interval"


class KID(KernelMetric):
    """The unbiased squared MMD of a cubic kernel."""

    about = About(
        title="Kernel distance",
        better="lower",
        generated="features",
        reference="features",
        samples="25 a side for an interval; some thousands a side for Inception's features.",
        use=(
            "Instead of `fid` where samples are few, since it is unbiased at every size. Papers print the mean over"
            " `subsets`."
        ),
        parts={
            "std": "Standard deviation over the subsets, which overlap: no standard error.",
            "subsets": "Subsets that were averaged.",
            "subset_size": "Samples of each side in a subset.",
        },
    )

    subsets: int | None = Field(None, ge=1, le=1000, description="Random subsets to average over; else whole sets.")
    subset_size: int = Field(1000, ge=2, description="Samples of each side in a subset.")
    subset_seed: int = Field(2020, ge=0, lt=2**32, description="Seed that draws the subsets.")

    def kernel_for(self, real: Side) -> Kernel | None:  # noqa: ARG002
        """The cubic one, on whole sets."""
        return Polynomial() if self.subsets is None else None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The score of the whole sets, or the mean over subsets."""
        if self.subsets is not None:
            return self._of_subsets(real, generated, self.subsets)
        sums = sums_of(Polynomial(), real, generated)
        value = sums.mmd2()
        return Score(value, interval=kernel_interval(sums, value, POPULATION) if intervals else NOT_ASKED)

    def advice(self, real: Side, generated: Side) -> str | None:
        """Whole sets of many samples have very many pairs."""
        total = real.count_of_features + generated.count_of_features
        if self.subsets is not None or total < MANY:
            return None
        pairs, rate = total * total / 2, multiplications_a_second() / generated.dimensions
        fewer = f"kid.subsets={USUAL} takes about {how_long(2 * USUAL * self.subset_size**2 / rate)}"
        return f"kid compares {total:,} samples with one another, about {how_long(pairs / rate)} of one core; {fewer}."

    @property
    def sees_order(self) -> bool:
        """Which samples a subset holds depends on it."""
        return self.subsets is not None

    def _of_subsets(self, first: Side, second: Side, subsets: int) -> Score:
        real, generated = first.features, second.features
        assert real is not None, "lacks() is asked first"
        assert generated is not None, "lacks() is asked first"
        of_real, of_generated = first.sent_order(len(real)), second.sent_order(len(generated))
        fewest = min(len(real), len(generated))
        if fewest < self.subset_size:
            raise InvalidSamples(f"A set has {fewest} samples, fewer than the {self.subset_size} of kid's subsets.")
        size = self.subset_size
        whole = len(real) == len(generated) == size  # every subset then holds all samples
        draws = self._draws(of_real, of_generated, 1 if whole else subsets)
        work = subsets * size * size * real.shape[1]
        values = [sums.mmd2() for sums in discrepancies_of_parts(real, generated, draws, Polynomial(), work)]
        details = {"std": float(np.std(values)), "subsets": subsets, "subset_size": self.subset_size}
        return Score(float(np.mean(values)), details, interval=OVERLAPPING)

    def _draws(self, of_real: RowNumbers, of_generated: RowNumbers, subsets: int) -> Iterator[tuple[Index, Index]]:
        """The rows of either set in each subset, by torch-fidelity's generator and in its order."""
        rng = np.random.RandomState(self.subset_seed)
        for _ in range(subsets):
            y = of_generated[rng.choice(len(of_generated), self.subset_size, replace=False)]
            yield of_real[rng.choice(len(of_real), self.subset_size, replace=False)], y


def how_long(seconds: float) -> str:
    """A time in words."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


def kid(real: Rows, generated: Rows, *, unbiased: bool = True) -> float:
    """KID of whole sets of features (n, d) and (m, d). Raises InvalidSamples."""
    return discrepancy(real, generated, Polynomial()).mmd2(unbiased=unbiased)
