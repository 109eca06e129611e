"""Nets for points in the plane: two hidden layers, and as many of them as are trained side by side.

A stack's samples lie in one batch, the first n / stack rows those of the first net: (stack · n, …) everywhere.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from service.errors import InvalidManifest
from service.nets.latents import choose
from service.nets.minibatch import MinibatchFeatures

WIDTH = 128
LATENT = 2
PLANE = 2


class StackedLinear(nn.Module):
    """Linear layers side by side, drawn as `nn.Linear` draws; one product of matrices for all of them."""

    def __init__(self, inputs: int, outputs: int, *, stack: int = 1) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(stack, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(stack, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Each net's rows through its own layer, (stack · n, inputs) → (stack · n, outputs)."""
        of_each = x.reshape(len(self.weight), -1, x.shape[1])
        return torch.baddbmm(self.bias, of_each, self.weight).flatten(0, 1)

    def count_macs(self, output: Tensor) -> int:  # noqa: ARG002 - one row goes through one layer
        """Multiply-accumulates of one item."""
        return self.weight[0].numel()


def _layers(widths: Sequence[int], stack: int, *, batch_norm: bool = False) -> nn.Sequential:
    """Hidden layers of these widths, normalised if so wanted, and rectified."""
    if batch_norm and stack > 1:
        raise InvalidManifest("batch normalisation does not go with a stack: it would mix the nets")
    chain: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        normalised = [nn.BatchNorm1d(outputs)] if batch_norm else []
        chain += [StackedLinear(inputs, outputs, stack=stack), *normalised, nn.ReLU()]
    return nn.Sequential(*chain)


class ToyGenerator(nn.Module):
    """From noise to points: z (n, latent) of N(0, 1) → (n, 2)."""

    def __init__(self, *, latent: int = LATENT, width: int = WIDTH, stack: int = 1) -> None:
        super().__init__()
        self.stack = stack
        self.body = _layers((latent, width, width), stack)
        self.place = StackedLinear(width, PLANE, stack=stack)

    def features(self, z: Tensor) -> Tensor:
        """The last hidden layer, (n, width)."""
        hidden: Tensor = self.body(z)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """Points (n, 2)."""
        points: Tensor = self.place(hidden)
        return points

    def forward(self, z: Tensor) -> Tensor:
        """Points (n, 2)."""
        return self.head(self.features(z))


class ToyGenerators(nn.Module):
    """MAD-GAN's several generators of points; the last number of z chooses one, as in `nets.several`."""

    def __init__(self, *, latent: int = LATENT + 1, width: int = WIDTH, generators: int = 4, stack: int = 1) -> None:
        super().__init__()
        self.stack, self.generators = stack, generators
        self.trunk = _layers((latent - 1, width), stack)
        self.own = _layers((width, generators * width), stack)
        self.place = StackedLinear(generators * width, PLANE, stack=stack)

    def features(self, z: Tensor) -> Tensor:
        """The last hidden layer of every generator, (n, generators · width), zero but for the chosen one's."""
        hidden: Tensor = self.own(self.trunk(z[:, :-1]))
        chosen = one_hot(choose(z, self.generators), self.generators).to(hidden.dtype)  # (n, generators)
        return hidden * chosen.repeat_interleave(hidden.shape[1] // self.generators, dim=1)

    def head(self, hidden: Tensor) -> Tensor:
        """Points (n, 2)."""
        points: Tensor = self.place(hidden)
        return points

    def forward(self, z: Tensor) -> Tensor:
        """Points (n, 2)."""
        return self.head(self.features(z))


class ToyDiscriminator(nn.Module):
    """From points to `outputs` logits each: x (n, 2 · packed) → (n,) where that is one, else (n, outputs)."""

    def __init__(
        self, *, packed: int = 1, width: int = WIDTH, outputs: int = 1, stack: int = 1, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.stack = stack
        self.body = _layers((PLANE * packed, width, width), stack, batch_norm=batch_norm)
        self.judge = StackedLinear(width, outputs, stack=stack)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (n, width)."""
        hidden: Tensor = self.body(x)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs)."""
        scores: Tensor = self.judge(hidden)
        return scores.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs)."""
        return self.head(self.features(x))


class ToyMinibatchDiscriminator(nn.Module):
    """A discriminator that also sees how close a point is to the others of its batch: x (n, 2) → (n,)."""

    def __init__(self, *, width: int = WIDTH, kernels: int = 16, size: int = 4, stack: int = 1) -> None:
        super().__init__()
        self.stack = stack
        self.body = _layers((PLANE, width, width), stack)
        self.closeness = MinibatchFeatures(width, kernels=kernels, size=size, stack=stack)
        self.judge = StackedLinear(width + kernels, 1, stack=stack)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, (n, width)."""
        hidden: Tensor = self.body(x)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """One logit a point, (n,)."""
        scores: Tensor = self.judge(torch.cat([hidden, self.closeness(hidden)], dim=1))
        return scores.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """One logit a point, (n,)."""
        return self.head(self.features(x))


class ToyAutoEncoder(nn.Module):
    """EBGAN's discriminator of points: x (n, 2) → (n, 2)."""

    def __init__(self, *, width: int = WIDTH, stack: int = 1) -> None:
        super().__init__()
        self.stack = stack
        self.encode = _layers((PLANE, width, width), stack)
        self.decode = nn.Sequential(*_layers((width, width), stack), StackedLinear(width, PLANE, stack=stack))

    def features(self, x: Tensor) -> Tensor:
        """The code, (n, width)."""
        code: Tensor = self.encode(x)
        return code

    def head(self, code: Tensor) -> Tensor:
        """The points again, (n, 2)."""
        points: Tensor = self.decode(code)
        return points

    def forward(self, x: Tensor) -> Tensor:
        """The points again, (n, 2)."""
        return self.head(self.features(x))


@torch.no_grad()
def first_of(stacked: nn.Module, single: nn.Module) -> nn.Module:
    """Fill a net with the weights of the first of a stack of its kind."""
    known = stacked.state_dict()
    single.load_state_dict({name: known[name][: len(tensor)] for name, tensor in single.state_dict().items()})
    return single
