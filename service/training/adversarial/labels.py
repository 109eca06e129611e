"""What a discriminator is told that samples are: 1 is real, 0 is fake, or nearly so."""

from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

Range = tuple[float, float]


class Labels(BaseModel):
    """Targets for the samples of one batch, drawn anew in each step of the discriminator.

    `real = [0.9, 0.9]` is one-sided smoothing (Salimans et al. 2016, section 3.4); `real = [0.7, 1.2]` with
    `fake = [0.0, 0.3]` are soft and noisy labels, `flipped` the occasional wrong ones (Chintala et al., "How to train a
    GAN?", points 6). The generator is never told any of this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    real: Range = Field((1.0, 1.0), description="Between which numbers the targets of real samples are drawn.")
    fake: Range = Field((0.0, 0.0), description="Between which numbers those of fake ones are drawn.")
    flipped: float = Field(0.0, ge=0, lt=0.5, description="Share of samples that are told to be of the other kind.")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        if self.real[0] > self.real[1] or self.fake[0] > self.fake[1]:
            raise ValueError("a range of labels needs its lower end first")
        return self

    @property
    def are_hard(self) -> bool:
        """Whether every real sample is told to be 1 and every fake one 0."""
        return self == Labels()

    def for_real(self, logits: Tensor) -> Tensor:
        """Targets of real samples, one for each of these logits (n,)."""
        return self._draw(logits, self.real, self.fake)

    def for_fake(self, logits: Tensor) -> Tensor:
        """Targets of fake samples, one for each of these logits (n,)."""
        return self._draw(logits, self.fake, self.real)

    def _draw(self, logits: Tensor, own: Range, other: Range) -> Tensor:
        # Drawn on the CPU, so that a seed means the same on every device; what is fixed draws nothing.
        targets = _between(own, len(logits))
        if self.flipped:
            targets = torch.where(torch.rand(len(logits)) < self.flipped, _between(other, len(logits)), targets)
        return targets.to(logits.device)


def _between(ends: Range, count: int) -> Tensor:
    low, high = ends
    return torch.full((count,), low) if low == high else torch.empty(count).uniform_(low, high)
