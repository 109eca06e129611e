"""How well generators of points cover a mixture while they are trained, each of a stack for itself."""

import numpy as np
import torch
from torch import nn

from service.datasets.mixtures import Mixture
from service.metrics.mode_coverage import mode_coverage
from service.tasks.generate import latents
from service.training.history import Row
from service.training.run import Run

SAMPLES = 2500
"""Of each generator, as in the protocol (arXiv 1712.04086, section 4.1)."""


class PointAppraiser:
    """Measures a stack of generators from the same latents each time, and draws nothing from torch's generator."""

    def __init__(self, mixture: Mixture, run: Run, *, every: int, seed: int, stack: int) -> None:
        self.every = every
        self._mixture, self._stack = mixture, stack
        drawn = latents(seed, 0, stack * SAMPLES, run.manifest.latent)
        self._z = torch.from_numpy(drawn).to(run.device)

    @torch.no_grad()
    def measure(self, generator: nn.Module) -> Row:
        """Modes covered, share of good points and reverse KL: means over the stack, and their standard deviations."""
        # What is not a number is nowhere near a mode; the loss tells of it in the same row.
        points = generator(self._z).float().nan_to_num(1e9, 1e9, -1e9).clamp(-1e9, 1e9).cpu().numpy()
        found = np.array(
            [mode_coverage(own, self._mixture.modes, self._mixture.deviation) for own in np.split(points, self._stack)]
        )  # (stack, 3)
        row: Row = {"all_modes": float(len(self._mixture.modes))}
        for name, of_each in zip(("modes", "good", "reverse_kl"), found.T, strict=True):
            row[name] = float(of_each.mean())
            if self._stack > 1:
                row[f"{name}_deviation"] = float(of_each.std(ddof=1))
        return row
