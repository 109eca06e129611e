"""How steep a discriminator is at a sample: what WGAN-GP and DRAGAN hold to one number."""

import torch
from torch import Tensor, nn

TINY = 1e-12
"""Keeps the root differentiable where a gradient is zero."""


def gradient_norms(discriminator: nn.Module, x: Tensor) -> Tensor:
    """‖∇ₓ D(x)‖₂ of each sample, over all its dimensions, (n,); differentiable once more."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).float().sum(), x, create_graph=True)
    norms: Tensor = (slope.float().flatten(1).square().sum(dim=1) + TINY).sqrt()
    return norms


def one_a_sample(x: Tensor) -> Tensor:
    """A draw of U[0, 1) for each sample of x (n, …), in a shape that spreads over its dimensions."""
    return torch.rand(len(x), *[1] * (x.ndim - 1)).to(x.device)
