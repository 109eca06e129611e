"""Discriminators that a test can follow by hand."""

import torch
from torch import Tensor, nn

from service.training.adversarial.systems.step import Step


class Logits(nn.Module):
    """Takes its input for logits and remembers the sizes of the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return x


class Line(nn.Module):
    """f(x) = w · x, and remembers all that it was shown."""

    def __init__(self, *w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach())
        scores: Tensor = x @ self.w
        return scores


# Their means differ: softplus(x) − softplus(−x) = x, so that with equal ones a sum of losses cannot tell who is real.
REAL, FAKE = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([-0.5, -1.5])


def step(real: Tensor = REAL, fake: Tensor = FAKE) -> Step:
    """A step whose samples are taken for logits."""
    return Step(Logits(), real, fake)
