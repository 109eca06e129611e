"""How sure a classifier is of an image, and how strange the image is to it: from logits, by what its card says."""

from collections.abc import Iterable
from math import exp, sqrt
from operator import add, mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.calibration import Calibration, Strangeness

Logits = NDArray[Any]
Real = NDArray[np.float64]
FEW = 64
"""Classes up to which a list is sooner worked on than an array."""


def probabilities_of(logits: Logits, calibration: Calibration | None) -> Real:
    """Probabilities (n, classes) of logits, at the temperature where there is one."""
    return softmax(logits, calibration.temperature if calibration else 1.0)


def probability_lists(logits: Logits, calibration: Calibration | None) -> list[list[float]]:
    """The same as lists; those of few classes by a formula of plain numbers, which is sooner done than an array's."""
    if logits.shape[1] > FEW:
        found: list[list[float]] = probabilities_of(logits, calibration).tolist()
        return found
    temperature = calibration.temperature if calibration else 1.0
    return [_softmax_of(row, temperature) for row in logits.tolist()]


def _softmax_of(row: list[float], temperature: float) -> list[float]:
    largest = max(row)
    powers = [exp((z - largest) / temperature) for z in row]
    total = sum(powers)
    return [power / total for power in powers]


def strangeness_list(logits: Logits, known: Strangeness, temperature: float) -> list[float]:
    """How strange each image is, as a list; of one image and few classes, as most requests bring, sooner reckoned."""
    if len(logits) == 1 and known.method == "distance" and logits.shape[1] <= FEW:
        return [_distance_of(logits[0], known)]
    found: list[float] = strangeness_of(logits, known, temperature).tolist()
    return found


def _distance_of(row: Logits, known: Strangeness) -> float:
    """The distance of one image: a single product of a matrix, and plain numbers."""
    rows, constants = known.rows
    products = rows.dot(row).tolist()  # of so few numbers sooner than by @
    classes = len(constants)
    square = sum(map(mul, products[:classes], products[:classes])) + min(map(add, products[classes:], constants))
    return sqrt(max(square, 0.0))


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


def strangeness_of(logits: Logits, known: Strangeness, temperature: float) -> Real:
    """How strange each image (n,) is of which these are the logits (n, classes)."""
    z = np.asarray(logits, np.float64)
    if known.method == "energy":
        return energy(z, temperature)
    precision, linear, constant = known.form
    squares = np.add.reduce(z @ precision * z, axis=1) + np.minimum.reduce(z @ linear + constant, axis=1)
    distances: Real = np.sqrt(np.maximum(squares, 0.0))
    return distances
