"""The units' non-linearities as layers, so that whoever looks inside a net finds them."""

import torch
from torch import Tensor, nn

from service.errors import InvalidManifest

A, S = 1.7159, 2 / 3


def squash(a: Tensor) -> Tensor:
    """f(a) = A·tanh(S·a), so that f(±1) = ±1 (LeCun et al. 1998, appendix A)."""
    return A * torch.tanh(S * a)


class Squash(nn.Module):
    """LeNet-5's scaled hyperbolic tangent."""

    def forward(self, a: Tensor) -> Tensor:
        """f(a), of any shape."""
        return squash(a)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "squash": Squash,
    "tanh": nn.Tanh,
}


def build_activation(name: str) -> nn.Module:
    """The layer of this name. Raises InvalidManifest where there is none."""
    if name not in ACTIVATIONS:
        raise InvalidManifest(f"There is no activation called {name!r}; there are {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()
