"""New pictures: a seed and a count to pixels, image *i* of a seed always the same."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.store import Manifest

if TYPE_CHECKING:
    from torch import Tensor, nn

_WORDS_A_STEP = 4
"""Philox yields four 64-bit words for one step of its counter."""


def latents(seed: int, start: int, count: int, dimension: int) -> NDArray[np.float32]:
    """Rows `start` to `start + count` of the seed's endless table of N(0, 1) draws, float32 (count, dimension).

    Philox 4×64 (Salmon et al., SC 2011) is a function of key and counter: row i starts at counter i·steps whatever
    was drawn before it. Two words give two normals by Box and Muller's transform.
    """
    steps = -(-dimension // _WORDS_A_STEP)
    stream = np.random.Philox(key=seed).advance(start * steps)
    words = stream.random_raw(count * steps * _WORDS_A_STEP).reshape(count, -1)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0::2]))
    angle = 2.0 * np.pi * uniform[:, 1::2]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return np.ascontiguousarray(normal[:, :dimension], dtype=np.float32)


class Generate:
    """Latents float32 (n, latent) to pixels uint8 (n, H, W, C)."""

    exact = True
    any_length = False
    warmed = True

    def serves(self, manifest: Manifest) -> bool:
        """Any generator."""
        return manifest.task == "generate"

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """The net's [−1, 1] as 0 to 255, rounded, cropped to the size that the manifest states."""
        assert manifest.output is not None
        x: Tensor = net(tensors[0])  # (n, C, H, W)
        crop = manifest.output.crop
        if crop:
            x = x[:, :, crop:-crop, crop:-crop]
        pixels = x.float().add(1).mul(127.5).round_().clamp_(0, 255)
        return [pixels.byte().permute(0, 2, 3, 1).contiguous()]

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of latents."""
        assert manifest.output is not None
        return [((rows, manifest.output.latent), "float32")]
