"""A generator's samples at moments of its training, from the same latents each time: small enough to be kept."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from service.files import write_whole

FILE = "recording.safetensors"
MOMENTS = 60


def moments_of(iterations: int, moments: int = MOMENTS) -> list[int]:
    """Iterations to look at, the first and the last among them: dense at first, where most happens."""
    return sorted({1 + round((iterations - 1) * (place / (moments - 1)) ** 2) for place in range(moments)})


class Recording:
    """`step` (moments,) and `samples` (moments, n, 2) in half precision; it stops and goes on with the checkpoint.

    `z` are the latents of the whole stack, (stack · n, latent); only the first generator's samples are kept.
    """

    def __init__(self, z: Tensor, iterations: int, stack: int) -> None:
        self._z, self._stack = z, stack
        self._moments = frozenset(moments_of(iterations))
        self._kept: dict[int, Tensor] = {}

    @torch.no_grad()
    def note(self, step: int, generator: nn.Module) -> None:
        """Keep the samples of this iteration if it is one of the moments."""
        if step in self._moments:
            self._kept[step] = generator(self._z)[: len(self._z) // self._stack].half().cpu()

    def write(self, folder: Path) -> None:
        """Write what was kept."""
        steps = sorted(self._kept)
        tensors = {"step": torch.tensor(steps), "samples": torch.stack([self._kept[step] for step in steps])}
        write_whole(folder / FILE, save(tensors))

    def state_dict(self) -> dict[str, Any]:
        """What was kept so far."""
        return {str(step): samples for step, samples in self._kept.items()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take it back."""
        self._kept = {int(step): samples for step, samples in state_dict.items()}
