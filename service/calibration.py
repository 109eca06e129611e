"""How sure a classifier may be, and how strange an image is to it: what its card says of both, put to use."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Logits = NDArray[Any]
Real = NDArray[np.float64]
Method = Literal["distance", "energy"]
METHODS: tuple[Method, ...] = ("distance", "energy")
Table = tuple[tuple[float, ...], ...]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Change(_Kept):
    """A number of the test set by the net's own probabilities, and by those at the temperature."""

    before: float
    after: float


class Strangeness(_Kept):
    """A number that is larger the less an image is like those of the model's dataset, from the logits z alone.

    * energy: E = −T log Σ exp(z / T) (Liu et al. 2020, arXiv 2010.03759)
    * distance: √ minₖ (z − mₖ)ᵀ P (z − mₖ), to the nearest class of training images, with the means m of the classes
      and the inverse P of the covariance around them (Lee et al. 2018, arXiv 1807.03888, on the logits)
    """

    method: Method = Field(description="Which of the two: that with the larger mean of its AUROCs.")
    limit: float = Field(description="What few of the test images exceed.")
    share: float = Field(gt=0, lt=1, description="How few: the share of the test images beyond the limit.")
    auroc: dict[Method, dict[str, float]] = Field(
        description="By method and by what was shown: the chance that it is stranger than a test image."
    )
    means: Table = Field((), description="m, (classes, classes): a row a class.")
    precision: Table = Field((), description="P, (classes, classes).")

    def measure(self, logits: Real, temperature: float) -> Real:
        """How strange each image (n,) is of which these are the logits (n, classes)."""
        if self.method == "energy":
            return energy(logits, temperature)
        precision, linear, constant = self._form
        squares = np.add.reduce(logits @ precision * logits, axis=1) + np.minimum.reduce(
            logits @ linear + constant, axis=1
        )
        distances: Real = np.sqrt(np.maximum(squares, 0.0))
        return distances

    @cached_property
    def _form(self) -> tuple[Real, Real, Real]:
        """P, −2 P m and mᵀ P m of the squared distance zᵀ P z − 2 zᵀ P m + mᵀ P m."""
        precision, means = np.array(self.precision), np.array(self.means)
        return precision, -2.0 * precision @ means.T, np.einsum("ki,ij,kj->k", means, precision, means)


class Calibration(_Kept):
    """What turns a classifier's logits into probabilities that can be believed (Guo et al. 2017, arXiv 1706.04599)."""

    temperature: float = Field(gt=0, description="What logits are divided by.")
    how: str = Field(description="How the temperature was found.")
    ece: Change = Field(description="Expected calibration error on the test set, in 15 bins of equal width.")
    nll: Change = Field(description="Mean negative log-likelihood of the test set's labels, in nats.")
    strangeness: Strangeness

    def strangeness_of(self, logits: Logits) -> Real:
        """How strange each image (n,) is of which these are the logits (n, classes)."""
        return self.strangeness.measure(np.asarray(logits, np.float64), self.temperature)


def probabilities_of(logits: Logits, calibration: Calibration | None) -> Real:
    """Probabilities (n, classes) of logits, at the temperature where there is one."""
    return softmax(logits, calibration.temperature if calibration else 1.0)


def mean_probabilities(classifiers: Iterable[tuple[Logits, Calibration | None]]) -> Real:
    """What several classifiers say together (n, classes): each at its own temperature, all counting the same."""
    found: Real = np.mean([probabilities_of(logits, calibration) for logits, calibration in classifiers], axis=0)
    return found


def softmax(logits: Logits, temperature: float = 1.0) -> Real:
    """exp(z / T) / Σ exp(z / T) along the last axis, in float64."""
    z = np.asarray(logits, np.float64)
    powers = np.exp((z - np.maximum.reduce(z, axis=-1, keepdims=True)) / temperature)
    probabilities: Real = powers / np.add.reduce(powers, axis=-1, keepdims=True)
    return probabilities


def energy(logits: Logits, temperature: float = 1.0) -> Real:
    """−T log Σ exp(z / T) along the last axis, in float64."""
    z = np.asarray(logits, np.float64)
    largest = z.max(axis=-1, keepdims=True)
    sums = np.exp((z - largest) / temperature).sum(axis=-1)
    found: Real = -(temperature * np.log(sums) + largest[..., 0])
    return found
