"""A whole service that also knows a net which only sleeps: its speed is known, whatever else the machine does.

    python -m benchmarks.load.sleeping serve

The net stands in the registry of these processes only; `add_sleeper` writes the model that has it.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.load.doubles import add_double
from benchmarks.load.supervising import supervise
from service.__main__ import main
from service.nets.registry import NETS

NAME = "sleeper"
PER_SECOND = 200
"""Images that it classifies."""


class Sleeper(nn.Module):
    """Takes the same time for every image, and none of the processor's."""

    def __init__(self, *, per_second: float = PER_SECOND) -> None:
        super().__init__()
        self.per_second = per_second
        self.scale = nn.Parameter(torch.tensor(1.0))

    def features(self, x: Tensor) -> Tensor:
        """The two corners of images (n, 1, 28, 28), when the time is up."""
        time.sleep(len(x) / self.per_second)
        return x[:, 0, 0, :2]

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, 2)."""
        return features * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) to logits (n, 2)."""
        return self.head(self.features(x))


def add_sleeper(layer: Path, *, per_second: float = PER_SECOND) -> None:
    """Write the model into a layer of a store; it classifies so many images a second."""
    add_double(layer, Sleeper(), kind=NAME, side=28, batch=4, options=f"options.per_second = {per_second}")


if __name__ == "__main__":
    NETS[NAME] = Sleeper
    sys.exit(supervise("benchmarks.load.sleeping") if sys.argv[1:] == ["serve"] else main(sys.argv[1:]))
