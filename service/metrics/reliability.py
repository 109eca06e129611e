"""Whether a classifier is right as often as it says: calibration, and how well strange images are told from its own.

Guo, Pleiss, Sun, Weinberger, On calibration of modern neural networks, ICML 2017, arXiv 1706.04599.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import rankdata

from service.metrics.samples import Real, Rows

BINS = 15
"""Of equal width, as in the paper."""
COLDEST, HOTTEST = 1e-2, 1e3
"""Temperatures between which one is sought."""
STILL = 1e-6
"""Share of the largest variance, below which a direction says nothing."""

Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """A reliability diagram: of each bin ((b − 1) / B, b / B] of confidence, what lies in it."""

    counts: NDArray[np.int64]
    """Images, (B,)."""
    confidence: Real
    """Their mean confidence, (B,); 0 where there is none."""
    accuracy: Real
    """The share of them that is named rightly, (B,); 0 where there is none."""

    @property
    def ece(self) -> float:
        """ECE = Σ nᵦ / n |accuracyᵦ − confidenceᵦ| (equation 3)."""
        return float((self.counts * np.abs(self.accuracy - self.confidence)).sum() / self.counts.sum())


def reliability(probabilities: Rows, labels: Labels, *, bins: int = BINS) -> Reliability:
    """The diagram of probabilities (n, classes) beside the labels (n,)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bin_of = (np.ceil(confidence * bins).astype(int) - 1).clip(0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    some = counts.clip(1)
    return Reliability(
        counts,
        np.bincount(bin_of, weights=confidence, minlength=bins) / some,
        np.bincount(bin_of, weights=right, minlength=bins) / some,
    )


def negative_log_likelihood(logits: Rows, labels: Labels, temperature: float = 1.0) -> float:
    """Mean of log Σ exp(z / T) − z_label / T over logits z (n, classes), in nats."""
    scaled = logits.astype(np.float64) / temperature
    own = scaled[np.arange(len(labels)), labels]
    return float((logsumexp(scaled, axis=1) - own).mean())


def fit_temperature(logits: Rows, labels: Labels) -> float:
    """The temperature under which these labels are likeliest (section 4.2), by Brent's method over its logarithm.

    The loss has one minimum: it is convex in 1 / T.
    """
    found = minimize_scalar(
        lambda exponent: negative_log_likelihood(logits, labels, float(np.exp(exponent))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def auroc(own: Rows, strange: Rows) -> float:
    """The chance that a strange image's score is above that of one of the model's own; equal ones count half."""
    ranks = rankdata(np.concatenate([own, strange]))
    above = ranks[len(own) :].sum() - len(strange) * (len(strange) + 1) / 2
    return float(above / (len(own) * len(strange)))


def class_gaussians(logits: Rows, labels: Labels, classes: int) -> tuple[Real, Real]:
    """Means (classes, d) of the classes, and the inverse (d, d) of the covariance that they share.

    Directions in which next to nothing varies are left out of it: what is seen there is rounding, such as of the sum of
    logits that a linear readout has learned to keep at 1.
    """
    z = logits.astype(np.float64)
    means = np.stack([z[labels == label].mean(axis=0) for label in range(classes)])
    around = z - means[labels]
    return means, np.linalg.pinv(around.T @ around / len(z), rcond=STILL, hermitian=True)
