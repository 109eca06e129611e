"""New samples: a seed and a count to pixels, or to points in the plane; sample *i* of a seed is always the same."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.store import Manifest
from service.tasks.pauses import Pauses

if TYPE_CHECKING:
    from torch import Tensor, nn

_WORDS_A_STEP = 4
"""Philox yields four 64-bit words for one step of its counter."""
_ONE_LINE = 1e-6
"""Two directions whose angle has a smaller sine lie on one line, and name no great circle."""

Latents = NDArray[np.float32]


def latents(seed: int, start: int, count: int, dimension: int) -> Latents:
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


def interpolated(seed: int, start: int, count: int, dimension: int, steps: int) -> Latents:
    """Rows `start` to `start + count` of the seed's endless table of paths, float32 (count, dimension).

    Row i is step i mod `steps` of path i div `steps`; path p leads from latent 2p of the seed to latent 2p + 1, both
    included as they are.
    """
    place = np.arange(start, start + count)
    path, first = place // steps, start // steps
    ends = latents(seed, 2 * first, 2 * int(path[-1] - first + 1), dimension).reshape(-1, 2, dimension)[path - first]
    return slerp(ends[:, 0], ends[:, 1], (place % steps) / (steps - 1))


def slerp(begin: Latents, end: Latents, share: NDArray[np.float64]) -> Latents:
    """Between latents (n, d) and (n, d), so far along as `share` (n,) says, from 0 to 1.

    The direction goes along the great circle, sin((1 − t)ω)/sin ω and sin(tω)/sin ω (Shoemake, SIGGRAPH 1985), for a
    straight line leads through the middle, where N(0, 1) never is (White 2016, arXiv 1609.04468); the length goes
    evenly from one to the other. Ends on one line are joined by it.
    """
    z0, z1, t = begin.astype(np.float64), end.astype(np.float64), share[:, None]
    length0, length1 = (np.sqrt((z * z).sum(axis=1, keepdims=True)) for z in (z0, z1))
    cosine = (z0 * z1).sum(axis=1, keepdims=True) / (length0 * length1)
    omega = np.arccos(cosine.clip(-1.0, 1.0))
    sine = np.sin(omega)
    straight = sine < _ONE_LINE
    sine = np.where(straight, 1.0, sine)
    length = (1 - t) * length0 + t * length1
    of_z0 = np.where(straight, 1 - t, np.sin((1 - t) * omega) / sine * (length / length0))
    of_z1 = np.where(straight, t, np.sin(t * omega) / sine * (length / length1))
    return (of_z0 * z0 + of_z1 * z1).astype(np.float32)


def choosing(generator: int, generators: int) -> float:
    """The last number of a latent that chooses this of several generators, which divide N(0, 1) evenly among them."""
    return NormalDist().inv_cdf((generator + 0.5) / generators)


class Generate:
    """Latents float32 (n, latent) to pixels uint8 (n, H, W, C), or to points float32 (n, 2)."""

    exact = True
    any_length = False
    warmed = True
    pauses: Pauses = "between layers"
    price = 1

    def serves(self, manifest: Manifest) -> bool:
        """Any generator."""
        return manifest.task == "generate"

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """The net's [−1, 1] as 0 to 255, rounded, cropped to the size that the manifest states; points as they are."""
        x: Tensor = net(tensors[0])  # (n, C, H, W), or (n, 2)
        if manifest.output is None:
            return [x.float()]
        crop = manifest.output.crop
        if crop:
            x = x[:, :, crop:-crop, crop:-crop]
        pixels = x.float().add(1).mul(127.5).round_().clamp_(0, 255)
        return [pixels.byte().permute(0, 2, 3, 1).contiguous()]

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of latents."""
        return [((rows, manifest.latent), "float32")]
