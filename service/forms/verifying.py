"""Whether a form answers as the plain one does, on images that training never saw: nothing serves before it has."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.calibration import Calibration
from service.exactness import Precision
from service.tasks.sureness import probabilities_of

Logits = NDArray[np.float32]


class Bound(NamedTuple):
    """How far the probabilities of two forms may lie apart, as ½ Σ |p − q|."""

    mean: float
    largest: float
    agreement: float
    """The share of images, at least, whose likeliest label is the same."""


BOUNDS: dict[Precision, Bound] = {
    "float32": Bound(mean=1e-4, largest=1e-2, agreement=0.98),
    "bfloat16": Bound(mean=1e-2, largest=0.2, agreement=0.95),
    "int8": Bound(mean=5e-2, largest=0.9, agreement=0.9),
}
"""Wide beside what sound forms show and narrow beside what a wrong one does; what a form loses, its card says."""


def apart(plain: Logits, other: Logits, calibration: Calibration | None) -> NDArray[np.float64]:
    """½ Σ |p − q| of each image (n,): what the answers of two forms differ by, between 0 and 1."""
    found: NDArray[np.float64] = np.abs(
        probabilities_of(plain, calibration) - probabilities_of(other, calibration)
    ).sum(axis=1)
    return found / 2


def agreement(plain: Logits, other: Logits) -> float:
    """The share of images whose likeliest label is the same."""
    return float((plain.argmax(axis=1) == other.argmax(axis=1)).mean())


def what_is_wrong(plain: Logits, other: Logits, precision: Precision, calibration: Calibration | None) -> str:
    """In words, why a form that answers so beside the plain one must not serve; nothing where it may."""
    if plain.shape != other.shape or not np.isfinite(other).all():
        return "its logits are not as many, or not numbers"
    bound, found, same = BOUNDS[precision], apart(plain, other, calibration), agreement(plain, other)
    if found.mean() > bound.mean or found.max() > bound.largest or same < bound.agreement:
        return (
            f"its probabilities are {found.mean():.3g} from the plain ones on average and {found.max():.3g} at most,"
            f" and {100 * same:.3g} % of the labels agree"
        )
    return ""
