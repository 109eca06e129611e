"""What a generator makes of the N(0, 1) numbers that it is given, so that whoever samples it need not know."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from service.errors import InvalidManifest

Prior = Literal["normal", "uniform", "sphere"]


def shape_latents(z: Tensor, prior: Prior) -> Tensor:
    """Latents (n, latent) of N(0, 1) as draws of the prior.

    normal: as they are. uniform: U(−1, 1), 2 Φ(z) − 1. sphere: on the sphere of radius √latent, where nearly all of
    N(0, 1) lies (White 2016, arXiv 1609.04468). Raises InvalidManifest for another prior.
    """
    if prior == "normal":
        return z
    if prior == "uniform":
        return torch.erf(z / math.sqrt(2))
    if prior == "sphere":
        length: Tensor = z.norm(dim=1, keepdim=True)
        return z * (math.sqrt(z.shape[1]) / length.clamp_min(1e-12))
    raise InvalidManifest(f"There is no prior called {prior!r}; there are normal, sphere and uniform.")


def choose(z: Tensor, ways: int) -> Tensor:
    """Which of so many equally likely ways the last number of each latent chooses, (n, latent) → (n,) in 0 … ways − 1.

    ⌊ways · Φ(z)⌋ of the last number.
    """
    below = 0.5 * (1 + torch.erf(z[:, -1].double() / math.sqrt(2)))  # (n,): Φ
    return (below * ways).long().clamp(max=ways - 1)


class LatentDropout(nn.Module):
    """Dropout of whole maps, in training and when serving, that the latent decides: its noise is part of z.

    Map c of a sample is dropped where z · r_c lies below the quantile that a `share` of N(0, 1) lies below, r_c a fixed
    random unit vector; the others are scaled up by 1 / (1 − share). One latent is one image for ever, and an image does
    not depend on its neighbours.
    """

    directions: Tensor

    def __init__(self, latent: int, maps: int, *, share: float = 0.5) -> None:
        super().__init__()
        directions = torch.randn(latent, maps)
        self.register_buffer("directions", directions / directions.norm(dim=0))
        self.share = share
        self.border = math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * share - 1, dtype=torch.float64)))

    def forward(self, maps: Tensor, z: Tensor) -> Tensor:
        """Maps (n, C, H, W) of latents (n, latent), some of them zero."""
        kept = (z @ self.directions > self.border).to(maps.dtype) / (1 - self.share)  # (n, C)
        return maps * kept[:, :, None, None]
