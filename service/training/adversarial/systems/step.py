"""What a system is given to judge one step by."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from service.training.adversarial.labels import Labels

SINGLE = torch.float32.itemsize


@dataclass(frozen=True, slots=True)
class Step:
    """One step of either player: `real` and `fake` are batches of samples (n, …), `z` (n, latent) is behind `fake`.

    `fake` carries the generator's gradient only in the generator's step. `together` judges real and fake in one batch,
    so that batch normalisation mixes them. `optimiser` is the discriminator's. What a system puts into `notes` is
    recorded beside its loss.
    """

    discriminator: nn.Module
    real: Tensor
    fake: Tensor
    z: Tensor | None = None
    labels: Labels = field(default_factory=Labels)
    together: bool = False
    optimiser: torch.optim.Optimizer | None = None
    notes: dict[str, Tensor] = field(default_factory=dict)

    def judge(self, x: Tensor) -> Tensor:
        """What the discriminator says of one batch, in single precision where it worked in half."""
        said: Tensor = self.discriminator(x)
        return said.float() if said.dtype.itemsize < SINGLE else said

    def judge_both(self) -> tuple[Tensor, Tensor]:
        """What it says of the real samples and of the fake ones: each a batch of its own unless they are `together`."""
        if not self.together:
            return self.judge(self.real), self.judge(self.fake)
        said = self.judge(torch.cat([self.real, self.fake]))
        return said[: len(self.real)], said[len(self.real) :]
