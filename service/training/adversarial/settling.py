"""A generator's weights with batch normalisation's statistics of their own: an average of weights has none."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def settle(generator: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Take the statistics anew, as the plain mean over batches of latents (n, latent); answers it ready to serve."""
    for module in generator.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - their public parent
            module.reset_running_stats()
            module.momentum = None
    generator.train()
    for z in batches:
        generator(z)
    return generator.eval()
