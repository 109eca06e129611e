"""WGAN: Arjovsky, Chintala, Bottou, ICML 2017 (arXiv 1701.07875), algorithm 1."""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class WGAN(BaseModel):
    """A critic f whose mean difference on real and fake estimates their Wasserstein distance: no sigmoid, no log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: float = Field(0.01, gt=0)

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """E f(G(z)) − E f(x): minus the estimate of the distance."""
        loss: Tensor = discriminator(fake).mean() - discriminator(real).mean()
        return loss

    def generator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002 - others compare with real
        """−E f(G(z))."""
        loss: Tensor = -discriminator(fake).mean()
        return loss

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        """Clip every weight of the critic to [−c, c], which bounds its Lipschitz constant."""
        for weight in discriminator.parameters():
            weight.clamp_(-self.clip, self.clip)
