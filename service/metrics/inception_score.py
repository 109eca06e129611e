"""Inception Score (Salimans et al. 2016, arXiv 1606.03498, section 4), with its splits named.

    IS = exp( E_x KL( p(y|x) ‖ p(y) ) ),   natural logarithm, 0 · log 0 = 0, bounds [1, classes]

The value is the mean over splits i·N//s … (i+1)·N//s, `std` their standard deviation with ddof 0. As in torch-fidelity
the rows are shuffled with seed 2020 first: sets sorted by class score several times too low without it.
"""

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.metric import Floor, Metric, Score, Side
from service.metrics.samples import Real, Rows, checked_probabilities


class InceptionScore(Metric):
    """How sure the classifier is of each generated sample, and how varied it finds them all."""

    parts = ("std", "splits")

    splits: int = Field(10, ge=1, description="Parts whose scores are averaged.")
    shuffle: bool = Field(default=True, description="Shuffle the rows before they are split.")
    shuffle_seed: int = Field(2020, ge=0, lt=2**32, description="Seed of the shuffle.")

    def lacks(self, real: Side, generated: Side) -> str | None:  # noqa: ARG002 - it never looks at the reference
        """Probabilities of the generated set."""
        return "class probabilities; the generated set has none" if generated.probabilities is None else None

    def measure(self, real: Side, generated: Side) -> Score:  # noqa: ARG002
        """The score of the generated set; the reference does not enter."""
        assert generated.probabilities is not None, "lacks() is asked first"
        return self._score(generated.probabilities, "generated")

    def noise_floor(self, real: Side, generated: Side, *, seed: int) -> Floor:  # noqa: ARG002
        """The score of the reference's own probabilities: what real samples reach, not a lower bound."""
        if real.probabilities is None:
            return Floor(None, (), "the reference has no class probabilities")
        try:
            value = self._score(real.probabilities, "reference").value
        except InvalidSamples as error:
            return Floor(None, (), error.detail)
        return Floor(value, (len(real.probabilities),), "the Inception Score of the reference itself")

    def _score(self, probabilities: Rows, whose: str) -> Score:
        seed = self.shuffle_seed if self.shuffle else None
        return inception_score(probabilities, splits=self.splits, shuffle_seed=seed, whose=whose)


def inception_score(
    probabilities: Rows, *, splits: int = 10, shuffle_seed: int | None = 2020, whose: str = "generated"
) -> Score:
    """Inception Score of probabilities (n, classes); no shuffle without a seed. Raises InvalidSamples."""
    p = checked_probabilities(probabilities, whose)
    n, classes = p.shape
    if n < splits:
        raise InvalidSamples(
            f"The {whose} set has {n} sample(s), fewer than the {splits} splits of the Inception Score."
        )
    if shuffle_seed is not None:
        rng = np.random.RandomState(shuffle_seed)  # torch-fidelity's generator
        p = p[rng.permutation(n)]
    scores = [_score_of_split(p[i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    few = (
        f"inception_score: {n // splits:,} samples a split are fewer than the {classes:,} classes; the score depends "
        "on the number of splits."
    )
    details = {"std": float(np.std(scores)), "splits": splits}
    return Score(float(np.mean(scores)), details, (few,) if n // splits < classes else ())


def _score_of_split(p: Real) -> float:
    marginal = p.mean(axis=0)
    possible = p > 0  # where p = 0 the term is 0, and the marginal is positive wherever p is
    log_ratio = np.log(p, where=possible, out=np.zeros_like(p))
    log_ratio -= np.log(marginal, where=marginal > 0, out=np.zeros_like(marginal))
    kl = (p * log_ratio).sum(axis=1)
    return float(np.exp(kl.mean()))
