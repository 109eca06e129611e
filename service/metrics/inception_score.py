"""Inception Score (Salimans et al. 2016, arXiv 1606.03498, section 4), with its splits named.

    IS = exp( E_x KL( p(y|x) ‖ p(y) ) ),   natural logarithm, 0 · log 0 = 0, bounds [1, classes]

The value is the mean over splits i·N//s … (i+1)·N//s, `std` their standard deviation with ddof 0. As in torch-fidelity
the rows are shuffled with seed 2020 first, from the order in which they were sent: sets sorted by class score several
times too low without it. For the same logits in the same order the number is torch-fidelity's.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.floor import Floor
from service.metrics.metric import NOT_ASKED, About, Metric, RowNumbers, Score, Side
from service.metrics.samples import Real, Rows, checked_probabilities
from service.metrics.uncertainty import EXPECTATION, Interval, Variances, jackknife_variance


class InceptionScore(Metric):
    """How sure the classifier is of each generated sample, and how varied it finds them all."""

    about = About(
        title="Inception Score",
        better="higher",
        generated="probabilities",
        reference=None,
        samples="Several times as many in each split as there are classes; papers take 50,000 in ten splits.",
        use=(
            "To compare with older papers, by the same classifier. It never looks at real samples: copies of a few"
            " good images of each class score high."
        ),
        parts={
            "std": "Standard deviation of the splits' scores.",
            "splits": "Splits that were averaged.",
        },
    )

    splits: int = Field(10, ge=1, description="Parts whose scores are averaged.")
    shuffle: bool = Field(default=True, description="Shuffle the rows before they are split.")
    shuffle_seed: int = Field(2020, ge=0, lt=2**32, description="Seed of the shuffle.")

    def lacks(self, real: Side, generated: Side) -> str | None:  # noqa: ARG002 - it never looks at the reference
        """Probabilities of the generated set."""
        return "class probabilities; the generated set has none" if generated.probabilities is None else None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The score of the generated set; the reference does not enter."""
        assert generated.probabilities is not None, "lacks() is asked first"
        order = generated.sent_order(len(generated.probabilities))
        score = self._score(generated.probabilities, "generated", order)
        interval = self._interval(score.value, generated.probabilities, order) if intervals else NOT_ASKED
        return replace(score, interval=interval)

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:  # noqa: ARG002
        """The score of the reference's own probabilities: what real samples reach, not a lower bound."""
        if real.probabilities is None:
            return Floor(None, (), "the reference has no class probabilities")
        try:
            order = real.sent_order(len(real.probabilities))
            value = self._score(real.probabilities, "reference", order).value
        except InvalidSamples as error:
            return Floor(None, (), error.detail)
        return Floor(value, (len(real.probabilities),), "the Inception Score of the reference itself")

    @property
    def sees_order(self) -> bool:
        """One split is the whole set, in whatever order."""
        return self.splits > 1

    def _score(self, probabilities: Rows, whose: str, order: RowNumbers) -> Score:
        return inception_score(probabilities, splits=self.splits, shuffle_seed=self._seed, whose=whose, order=order)

    def _interval(self, value: float, probabilities: Rows, order: RowNumbers) -> Interval | str:
        if len(probabilities) < 2 * self.splits:
            return "a split holds one sample"
        p = checked_probabilities(probabilities, "generated")
        variance = sum(jackknife_variance(_left_out(part)) for part in _parts(p, self.splits, self._seed, order))
        variances = Variances(real=0.0, generated=variance / self.splits**2)
        return variances.interval(value, EXPECTATION, lowest=1.0, highest=float(p.shape[1]))

    @property
    def _seed(self) -> int | None:
        return self.shuffle_seed if self.shuffle else None


def inception_score(
    probabilities: Rows,
    *,
    splits: int = 10,
    shuffle_seed: int | None = 2020,
    whose: str = "generated",
    order: RowNumbers | None = None,
) -> Score:
    """Inception Score of probabilities (n, classes), taken in this order; no shuffle without a seed.

    Raises InvalidSamples.
    """
    p = checked_probabilities(probabilities, whose)
    n, classes = p.shape
    if n < splits:
        raise InvalidSamples(
            f"The {whose} set has {n} sample(s), fewer than the {splits} splits of the Inception Score."
        )
    scores = [_score_of_split(part) for part in _parts(p, splits, shuffle_seed, order)]
    few = (
        f"inception_score: {n // splits:,} samples a split are fewer than the {classes:,} classes; the score depends "
        "on the number of splits."
    )
    details = {"std": float(np.std(scores)), "splits": splits}
    warnings = (few,) if n // splits < classes else ()
    return Score(float(np.mean(scores)), details, warnings, interval=NOT_ASKED)


def _parts(p: Real, splits: int, shuffle_seed: int | None, order: RowNumbers | None) -> Iterator[Real]:
    rows = np.arange(len(p)) if order is None else order
    if shuffle_seed is not None:
        rng = np.random.RandomState(shuffle_seed)  # torch-fidelity's generator
        rows = rows[rng.permutation(len(p))]
    for i in range(splits):
        yield p[rows[i * len(p) // splits : (i + 1) * len(p) // splits]]


def _score_of_split(p: Real) -> float:
    marginal = p.mean(axis=0)
    possible = p > 0  # where p = 0 the term is 0, and the marginal is positive wherever p is
    log_ratio = np.log(p, where=possible, out=np.zeros_like(p))
    log_ratio -= np.log(marginal, where=marginal > 0, out=np.zeros_like(marginal))
    kl = (p * log_ratio).sum(axis=1)
    return float(np.exp(kl.mean()))


def _left_out(p: Real) -> Real:
    """The score of a split without each of its samples in turn."""
    others = len(p) - 1
    negative_entropy = _sum_p_log_p(p)
    marginals = np.maximum((p.sum(axis=0) - p) / others, 0.0)
    scores: Real = np.exp((negative_entropy.sum() - negative_entropy) / others - _sum_p_log_p(marginals))
    return scores


def _sum_p_log_p(p: Real) -> Real:
    total: Real = (p * np.log(p, where=p > 0, out=np.zeros_like(p))).sum(axis=1)
    return total
