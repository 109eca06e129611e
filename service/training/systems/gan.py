"""GAN: Goodfellow et al., NeurIPS 2014 (arXiv 1406.2661), in the form of its theory and in the one it recommends."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.functional import softplus


class GAN(BaseModel):
    """A discriminator that tells real from fake, and a generator that fools it; D(x) = σ(logit).

    With logits l: −log D = softplus(−l) and −log(1 − D) = softplus(l), which stay finite where D rounds to 0 or 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["non-saturating", "minimax"] = "non-saturating"

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """−E log D(x) − E log(1 − D(G(z))); real and fake are batches of their own, also for batch normalisation."""
        loss: Tensor = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        return loss

    def generator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG002 - others compare with real
        """Minimax: E log(1 − D(G(z))). Non-saturating: −E log D(G(z))."""
        logit = discriminator(fake)
        loss: Tensor = -softplus(logit).mean() if self.form == "minimax" else softplus(-logit).mean()
        return loss

    def constrain(self, discriminator: nn.Module) -> None:
        """The discriminator is free."""
