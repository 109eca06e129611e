"""DRAGAN: Kodali, Abernethy, Hays, Kira 2017 (arXiv 1705.07215), section 2.3, as in kodalinaveen3/DRAGAN."""

import torch
from pydantic import Field
from torch import Tensor

from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.gradients import gradient_norms, one_a_sample
from service.training.adversarial.systems.step import Step


class DRAGAN(GAN):
    """GAN whose discriminator is held to one slope around the real samples, where sharp gradients come before collapse.

    The slope is that of the logit, not of the probability.
    """

    title = "DRAGAN"

    penalty: float = Field(10.0, ge=0, description="λ.")
    slope: float = Field(1.0, ge=0, description="k.")
    spread: float = Field(0.5, ge=0, description="How far from the real samples, in deviations of the batch.")

    def discriminator_loss(self, step: Step) -> Tensor:
        """GAN's, + λ E (‖∇l(x̂)‖ − k)²."""
        loss = super().discriminator_loss(step)
        steepness = gradient_norms(step.discriminator, perturb(step.real, self.spread))
        penalty = (steepness - self.slope).square().mean()
        step.notes["penalty"] = penalty.detach()
        return loss + self.penalty * penalty


def perturb(real: Tensor, spread: float) -> Tensor:
    """x̂ = x + α (x_p − x), one α of U[0, 1) a sample; x_p = x + spread · std(X) · U[0, 1), one draw a dimension.

    The noise has one sign, and one deviation is taken over the whole batch, as in the authors' notebook.
    """
    noise = spread * real.std() * torch.rand(real.shape).to(real.device)
    return real + one_a_sample(real) * noise
