"""A net whose units have pictures, small and quickly made: a LeNet-5 that has learned nothing, and its test set."""

from pathlib import Path

import numpy as np
import torch
from doubles import add_model

from service.datasets.split import Split
from service.nets.registry import build_net
from service.operations.strongest import FILE, Description
from service.scoring.units import look_for_strongest
from service.store import Model

MANIFEST = """
net = "lenet5"
task = "classify"
chapter = 0
paper = "none"
summary = "A LeNet-5 that has learned nothing."
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
[input]
size = [28, 28]
channels = 1
mean = [0.1]
std = [0.3]
pad = 2
[serving]
max_batch = 8
block = 4
"""


def scribbles(count: int, seed: int = 0) -> Split:
    """Random images as a test set."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.uint8) % 10)


def add_lenet(layer: Path, name: str = "unlearned") -> Model:
    """Write the net into a layer of a store."""
    torch.manual_seed(0)
    return Model(add_model(layer, name, build_net("lenet5"), MANIFEST))


def add_units(model: Model, test: Split) -> Description:
    """Look for the strongest images of its units, and put them beside its weights."""
    return look_for_strongest(model, test, model.folder / FILE)
