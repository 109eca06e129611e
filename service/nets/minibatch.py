"""Minibatch discrimination: Salimans et al., NeurIPS 2016 (arXiv 1606.03498), as in openai/improved-gan."""

import torch
from torch import Tensor, nn

from service.nets.dcgan32 import SIDE, WIDTH, Normalisation, encoder32, initialise_weights

KERNELS = 100
SIZE = 5


class MinibatchFeatures(nn.Module):
    """How close each sample is to the others of its batch: f (n, A) → o (n, B).

    M_i = f_i T ∈ R^{B×C},  c_b(i, j) = exp(−‖M_ib − M_jb‖₁),  o_b(i) = Σ_{j≠i} c_b(i, j) + bias_b

    T is normalised: each of its B·C columns has the length exp(scale). In a stack of nets that are trained side by side
    the first n / stack rows are the first net's batch, and so on; nobody is close to another net's samples.
    """

    def __init__(self, inputs: int, *, kernels: int = KERNELS, size: int = SIZE, stack: int = 1) -> None:
        super().__init__()
        self.kernels, self.size, self.stack = kernels, size, stack
        self.direction = nn.Parameter(0.05 * torch.randn(stack, inputs, kernels * size))
        self.scale = nn.Parameter(torch.zeros(stack, 1, kernels * size))
        self.bias = nn.Parameter(torch.full((stack, 1, kernels), -1.0))

    def forward(self, f: Tensor) -> Tensor:
        """Similarities to the others, (n, B)."""
        T = self.direction * (self.scale.exp() / self.direction.norm(dim=1, keepdim=True))  # (stack, A, B·C)
        M = (f.reshape(self.stack, -1, f.shape[1]) @ T).float()
        M = M.unflatten(2, (self.kernels, self.size)).transpose(1, 2)  # (stack, B, n, C)
        c = (-torch.cdist(M, M, p=1)).exp()  # (stack, B, n, n)
        others = 1 - torch.eye(c.shape[2], device=c.device, dtype=c.dtype)
        closeness: Tensor = (c * others).sum(dim=3).mT + self.bias  # (stack, n, B)
        return closeness.flatten(0, 1)

    def count_macs(self, output: Tensor) -> int:  # noqa: ARG002 - those of f T do not depend on it
        """Multiply-accumulates of one item."""
        return self.direction[0].numel()


class DCGAN32MinibatchDiscriminator(nn.Module):
    """DCGAN's discriminator that also sees how close an image is to the others of its batch.

    x (n, channels, 32, 32) → (n,) where `outputs` is one, else (n, outputs): raw logits.
    """

    def __init__(
        self,
        *,
        width: int = WIDTH,
        channels: int = 3,
        normalisation: Normalisation = "batch",
        kernels: int = KERNELS,
        size: int = SIZE,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.body = encoder32(width, channels, normalisation)
        initialise_weights(self)
        inputs = 4 * width * SIDE * SIDE
        self.closeness = MinibatchFeatures(inputs, kernels=kernels, size=size)
        self.judge = nn.Linear(inputs + kernels, outputs)
        nn.init.normal_(self.judge.weight, 0.0, 0.02)
        nn.init.zeros_(self.judge.bias)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden maps, (n, 4·width·16): what feature matching compares."""
        maps: Tensor = self.body(x)
        return maps.flatten(1)

    def head(self, f: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs), from the maps and the similarities beside them."""
        scores: Tensor = self.judge(torch.cat([f, self.closeness(f)], dim=1))
        return scores.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs)."""
        return self.head(self.features(x))
