"""Leave-one-out accuracy of the 1-nearest-neighbour classifier (Lopez-Paz and Oquab 2016, arXiv 1610.06545).

    h(z) = share of z's nearest others in X ∪ Y, at equal distance, that have the label of z

The value is the mean of h over both halves: 1 where the sets are apart, 0 for copies. Equal distributions score
`ideal`, 0.5 for sets of equal size and more for others; further from it is worse on either side. Judge both halves:
generated samples 5 % too wide in many dimensions read 1.0 for `real`, 0.0 for `generated` and 0.5 together; `real` far
below `generated` is a generator that repeats itself. `p_value` is that of the label permutations whose accuracy is at
least as high, on the same neighbours.
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from service.metrics.balls import NEIGHBOURS, lacks_neighbours
from service.metrics.distances import Index
from service.metrics.metric import NOT_ASKED, About, Metric, Score, Side
from service.metrics.neighbours import Nearest, Neighbourhood, Within, neighbourhood
from service.metrics.samples import Real
from service.metrics.uncertainty import EXPECTATION, Variances, permutation_p_value

APART = 0.3  # between the halves, from which on they are warned of
NOISE = 5.0  # times 1/√n, what they differ by without a meaning


class OneNN(Metric):
    """How well each sample's nearest neighbour tells which set it comes from."""

    about = About(
        title="Nearest neighbour two-sample test",
        better="nearer its ideal",
        generated="features",
        reference="features",
        samples="About as many on both sides, some hundreds or more.",
        use=(
            "To see whether the sets can be told apart at all, and by which side: `real` far below `generated` is a"
            " generator that repeats itself. Judge both halves."
        ),
        parts={
            "real": "The accuracy over the real samples.",
            "generated": "The accuracy over the generated samples.",
            "ideal": "What two sets of these sizes from one distribution score.",
            "p_value": "Share of permutations of the labels with at least this accuracy; only with intervals.",
        },
    )

    permutations: int = Field(199, ge=19, le=10_000, description="Permutations of the labels behind the p-value.")

    looks_at_neighbours = True

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of two samples a side."""
        return lacks_neighbours(real, generated, 1)

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:
        """The accuracy over both halves and in each."""
        around = neighbourhood(real, generated, NEIGHBOURS)
        halves = _halves(around)
        counts = [half.counts.sum() for half in halves]
        correct = [float(half.counts @ half.hits) for half in halves]
        value = sum(correct) / float(sum(counts))
        n, m = (int(count) for count in counts)
        ideals = ideal_halves(n, m)
        accuracies = correct[0] / n, correct[1] / m
        details = {
            "real": accuracies[0],
            "generated": accuracies[1],
            "ideal": (n * ideals[0] + m * ideals[1]) / (n + m),
        }
        warnings = _warnings(accuracies, ideals, min(n, m))
        if not intervals:
            return Score(value, details, warnings, interval=NOT_ASKED)
        details["p_value"] = _p_value(value, around, self.permutations, seed)
        interval = _variances(halves).interval_of_share(value, EXPECTATION)
        return Score(value, details, warnings, interval=interval)


def ideal_halves(n: int, m: int) -> tuple[float, float]:
    """What equal distributions score: the share of a sample's others that have its own label."""
    return (n - 1) / (n + m - 1), (m - 1) / (n + m - 1)


def _warnings(halves: tuple[float, float], ideals: tuple[float, float], fewest: int) -> tuple[str, ...]:
    """Of halves that are off in different ways, so that their mean says little."""
    real, generated = halves
    # sets of unequal size have halves that differ without a meaning, and sets that are apart two that are both 1
    apart = min(abs((real - ideals[0]) - (generated - ideals[1])), abs(real - generated))
    if apart <= max(APART, NOISE / float(np.sqrt(fewest))):
        return ()
    read = f"{real:.2f} (real) and {generated:.2f} (generated)"
    return (f"one_nn: the halves read {read}, and their mean hides it; judge each of them.",)


@dataclass(frozen=True, slots=True, eq=False)
class _Half:
    """One set's distinct samples: copies of each, h of each, and one of its nearest.

    `towards` counts the real samples first and the generated ones after them.
    """

    counts: Index
    hits: Real
    towards: Index


def _halves(around: Neighbourhood) -> tuple[_Half, _Half]:
    p = len(around.real.points.rows)
    real = _half(around.real, around.to_generated, around.generated.points.counts, 0, p)
    generated = _half(around.generated, around.to_real, around.real.points.counts, p, 0)
    return real, generated


def _half(within: Within, across: Nearest, other_counts: Index, own_first: int, other_first: int) -> _Half:
    copied = within.points.counts > 1
    own = np.where(copied, within.points.counts - 1, within.nearest.weighted(within.points.counts))
    other = across.weighted(other_counts)
    hits = np.where(within.alone < across.squares, 1.0, 0.0)
    tied = within.alone == across.squares
    hits[tied] = (own / (own + other))[tied]
    own_target = np.where(copied, np.arange(len(copied)), within.nearest.first()) + own_first
    towards = np.where(within.alone <= across.squares, own_target, across.first() + other_first)
    return _Half(within.points.counts, hits, towards)


def _variances(halves: tuple[_Half, _Half]) -> Variances:
    """Σ e_i e_j over i = j, over those who share a nearest neighbour, and over i and its own; e is h centred.

    Samples depend on each other through the graph of neighbours only, which is held fixed. What joins two sets is put
    to both alike.
    """
    counts = np.concatenate([half.counts for half in halves])
    towards = np.concatenate([half.towards for half in halves])
    e = np.concatenate([half.counts * (half.hits - np.average(half.hits, weights=half.counts)) for half in halves])
    nodes = np.arange(len(e))
    again = (towards[towards] == nodes) & (towards <= nodes)  # of two that are each other's, one edge is enough
    along = np.where(again, 0.0, e * e[towards])
    sharing = np.bincount(towards, weights=e, minlength=len(e))
    caused = e * sharing[towards] + along + np.bincount(towards, weights=along, minlength=len(e))
    alone = np.square(e) / counts
    first, total = len(halves[0].counts), float(counts.sum())
    real, generated = (
        max(float(caused[part].sum()), float(alone[part].sum())) / total**2
        for part in (slice(None, first), slice(first, None))
    )
    return Variances(real=real, generated=generated)


def _p_value(value: float, around: Neighbourhood, permutations: int, seed: int) -> float:
    graph = _graph(around)
    n = around.real.points.total
    labels = np.zeros(len(graph.group), bool)
    labels[:n] = True
    rng = np.random.default_rng(seed)
    permuted = np.array([graph.accuracy(rng.permutation(labels)) for _ in range(permutations)])
    return permutation_p_value(value, permuted)


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """The nearest neighbours of the union, whatever its labels: samples fall into groups of copies."""

    group: Index
    """(n + m,): the group of each sample."""
    sizes: Index
    of: Index
    """Samples without a copy, once for each group that is nearest to them."""
    to: Index

    def accuracy(self, labels: Real) -> float:
        """Leave-one-out accuracy if these (n + m,) samples were the real ones."""
        ones = np.bincount(self.group, weights=labels, minlength=len(self.sizes))
        zeros = self.sizes - ones
        several = self.sizes > 1
        among_copies = (ones * (ones - 1) + zeros * (zeros - 1))[several] / (self.sizes[several] - 1)
        same = np.where(labels[self.of], ones[self.to], zeros[self.to])
        samples = len(self.group)
        alike = np.bincount(self.of, weights=same, minlength=samples)
        near = np.bincount(self.of, weights=self.sizes[self.to], minlength=samples)
        share = np.divide(alike, near, out=np.zeros(samples), where=near > 0)
        return float(among_copies.sum() + share.sum()) / samples


def _graph(around: Neighbourhood) -> _Graph:
    """Groups are the distinct rows of the union: the real ones, then the generated ones that are no copy of them."""
    x, y = around.real.points, around.generated.points
    p = len(x.rows)
    group_of_y = np.arange(len(y.rows)) + p
    copies = around.to_real.squares == 0
    group_of_y[copies] = around.to_real.first()[copies]
    _, dense = np.unique(np.concatenate([np.arange(p), group_of_y]), return_inverse=True)
    group_of_x, group_of_y = dense[:p], dense[p:]
    group = np.concatenate([group_of_x[x.of_sample], group_of_y[y.of_sample]])
    sizes = np.bincount(group)
    edges = [
        _edges(around.real, around.to_generated, group_of_x, group_of_y),
        _edges(around.generated, around.to_real, group_of_y, group_of_x),
    ]
    of, to = np.unique(np.concatenate(edges, axis=1), axis=1)
    lonely = sizes[of] == 1
    sample = np.zeros(len(sizes), np.intp)
    sample[group] = np.arange(len(group))
    return _Graph(group, sizes, sample[of[lonely]], to[lonely])


def _edges(within: Within, across: Nearest, own_group: Index, other_group: Index) -> Index:
    """From each group to the groups that are nearest to it, (2, edges)."""
    inside, outside = within.nearest, across
    least = np.minimum(inside.squares, outside.squares)
    near = inside.squares[inside.of] == least[inside.of]
    far = outside.squares[outside.of] == least[outside.of]
    of = np.concatenate([own_group[inside.of[near]], own_group[outside.of[far]]])
    to = np.concatenate([own_group[inside.to[near]], other_group[outside.to[far]]])
    return np.stack([of, to])
