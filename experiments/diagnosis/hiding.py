"""Whether hiding the same part of different images changes a net's features alike: Zeiler and Fergus, section 4.3."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.diagnosis.record import Correspondence
from experiments.diagnosis.subject import Subject
from service.imaging import Pixels

LAYERS = {"pool5": "conv5, pooled", "fc7": "fc7"}
SQUARE, GREY = 10, 128
STARTS = (1, 11, 21)
PLACES = [(top, left) for top in STARTS for left in STARTS]
EACH = 5
"""Images of a class."""


def hidden(images: Pixels, places: NDArray[np.int64]) -> Pixels:
    """Images with a grey square, each at its own of the nine places."""
    covered = images.copy()
    for image, place in zip(covered, places, strict=True):
        top, left = PLACES[place]
        image[top : top + SQUARE, left : left + SQUARE] = GREY
    return covered


def correspond(subject: Subject, classes: Mapping[int, Pixels]) -> tuple[Correspondence, ...]:
    """Δ of the same places and of places drawn at random, for each class and layer."""
    rng = np.random.default_rng(0)
    same: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    anywhere: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    for images in classes.values():
        whole, _ = subject.answers(images, tuple(LAYERS))
        fixed = [np.full(len(images), place) for place in range(len(PLACES))]
        drawn = [rng.choice(len(PLACES), len(images), replace=False) for _ in PLACES]
        for sets, found in ((fixed, same), (drawn, anywhere)):
            distances: dict[str, list[float]] = {layer: [] for layer in LAYERS}
            for places in sets:
                covered, _ = subject.answers(hidden(images, places), tuple(LAYERS))
                for layer, features in covered.items():
                    distances[layer].append(apart(whole[layer] - features))
            for layer, values in distances.items():
                found[layer].append(round(float(np.mean(values)), 5))
    return tuple(
        Correspondence(layer=layer, same=tuple(same[layer]), anywhere=tuple(anywhere[layer])) for layer in LAYERS
    )


def apart(changes: Tensor) -> float:
    """The mean share of features whose changes (n, d) differ in sign between two images."""
    signs = changes.sign()
    pairs = torch.combinations(torch.arange(len(signs)))
    return float((signs[pairs[:, 0]] != signs[pairs[:, 1]]).double().mean())
