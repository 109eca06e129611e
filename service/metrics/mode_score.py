"""Mode Score: an Inception Score that also compares the classes' shares with the real ones.

    survey   MS = exp( E_x KL( p(y|x) ‖ p_g ) − KL( p_g ‖ p* ) )   Xu et al. 2018, arXiv 1806.07755, section 3.1
    che      MS = exp( E_x KL( p(y|x) ‖ p* ) − KL( p* ‖ p_g ) )    Che et al. 2017, arXiv 1612.02136, section 3.3

p_g and p* are the mean probabilities of the generated and of the real samples. With KL( p_g ‖ p* ) in Che's form, as
it is often copied, the two terms cancel and the Inception Score itself is left; that form is not offered. A class
that one side lacks altogether makes the second divergence infinite and the score 0, which is warned of.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from service.errors import InvalidSamples
from service.metrics.metric import NOT_ASKED, About, Metric, Score, Side
from service.metrics.samples import Real, Rows, check_dimensions, checked_probabilities
from service.metrics.uncertainty import EXPECTATION, Variances, jackknife_variance

Variant = Literal["survey", "che"]


class ModeScore(Metric):
    """How sure the classifier is of the generated samples, and how near their classes' shares are to the real ones."""

    about = About(
        title="Mode Score",
        better="higher",
        generated="probabilities",
        reference="probabilities",
        samples="Several times as many a side as there are classes.",
        use=(
            "Where a classifier knows the data's classes, and lost classes are to count against a generator. What"
            " varies within a class is not seen."
        ),
        words={
            "variant": "Whose formula was taken.",
        },
    )

    variant: Variant = Field("survey", description="Whose formula: the survey's or Che's.")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Probabilities of both sides."""
        for side, whose in ((real, "reference"), (generated, "generated set")):
            if side.probabilities is None:
                return f"class probabilities; the {whose} has none"
        return None

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The score, with the jackknife that leaves out each sample of either side."""
        assert real.probabilities is not None, "lacks() is asked first"
        assert generated.probabilities is not None, "lacks() is asked first"
        score = mode_score(real.probabilities, generated.probabilities, variant=self.variant)
        if not intervals:
            return score
        variances = _variances(real.probabilities, generated.probabilities, self.variant)
        interval = variances.interval(score.value, EXPECTATION, lowest=0.0)
        return replace(score, interval=interval)


def mode_score(real: Rows, generated: Rows, *, variant: Variant = "survey") -> Score:
    """Mode Score of probabilities (n, classes) and (m, classes). Raises InvalidSamples."""
    r, p = _checked(real, generated)
    if variant == "che" and bool(((p.sum(axis=0) > 0) & (r.sum(axis=0) <= 0)).any()):
        raise InvalidSamples(
            "The generated set has a class that the reference lacks, which makes Che's score infinite."
        )
    value = float(_formula(_negative_entropies(p).mean(), p.mean(axis=0), r.mean(axis=0), variant))
    lacking = "reference" if variant == "survey" else "generated set"
    warnings = (f"mode_score: the {lacking} lacks a class that the other side has, which makes the score 0.",)
    return Score(value, {"variant": variant}, warnings if value == 0 else (), interval=NOT_ASKED)


def _checked(real: Rows, generated: Rows) -> tuple[Real, Real]:
    r, p = checked_probabilities(real, "reference"), checked_probabilities(generated, "generated")
    check_dimensions(r.shape[1], p.shape[1])
    return r, p


def _formula(negative_entropy: Real, p_g: Real, p_star: Real, variant: Variant) -> Real:
    """The score from E Σ p log p (…) and the shares (…, classes) of the generated and the real samples."""
    if variant == "survey":  # E KL(p ‖ p_g) = E Σ p log p − Σ p_g log p_g
        exponent = negative_entropy - _cross(p_g, p_g) - _divergence(p_g, p_star)
    else:  # E KL(p ‖ p*) = E Σ p log p − Σ p_g log p*
        unheard = ((p_g > 0) & (p_star <= 0)).any(axis=-1)
        exponent = np.where(unheard, np.inf, negative_entropy - _cross(p_g, p_star)) - _divergence(p_star, p_g)
    score: Real = np.exp(exponent)
    return score


def _cross(p: Real, q: Real) -> Real:
    """Σ p log q, with 0 · log 0 = 0; the callers see to p > 0 = q."""
    with np.errstate(divide="ignore"):
        logs = np.where(q > 0, np.log(q), 0.0)
    total: Real = (p * logs).sum(axis=-1)
    return total


def _divergence(p: Real, q: Real) -> Real:
    missing = ((p > 0) & (q <= 0)).any(axis=-1)
    return np.where(missing, np.inf, _cross(p, p) - _cross(p, q))


def _negative_entropies(p: Real) -> Real:
    return _cross(p, p)


def _variances(real: Rows, generated: Rows, variant: Variant) -> Variances:
    r, p = _checked(real, generated)
    n, m = len(r), len(p)
    if min(n, m) < 2:
        return Variances(real=np.inf, generated=np.inf)
    entropies, p_g, p_star = _negative_entropies(p), p.mean(axis=0), r.mean(axis=0)
    rest = (entropies.sum() - entropies) / (m - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        without_generated = _formula(rest, _others(p), p_star, variant)
        without_real = _formula(entropies.mean(), p_g, _others(r), variant)
    return Variances(real=jackknife_variance(without_real), generated=jackknife_variance(without_generated))


def _others(p: Real) -> Real:
    """The mean of all rows but each in turn, (n, classes)."""
    others: Real = np.maximum((p.sum(axis=0) - p) / (len(p) - 1), 0.0)
    return others
