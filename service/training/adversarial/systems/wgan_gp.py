"""WGAN-GP: Gulrajani et al., NeurIPS 2017 (arXiv 1704.00028), algorithm 1."""

from pydantic import Field
from torch import Tensor

from service.training.adversarial.systems.gradients import gradient_norms, one_a_sample
from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System
from service.training.adversarial.systems.wgan import estimate_distance


class WGANGP(System):
    """WGAN whose critic is held to a slope of 1 between real and fake instead of being clipped."""

    title = "WGAN-GP"

    penalty: float = Field(10.0, ge=0, description="λ.")

    def discriminator_loss(self, step: Step) -> Tensor:
        """E f(G(z)) − E f(x) + λ E (‖∇f(x̂)‖ − 1)²; the penalty has two sides."""
        loss = -estimate_distance(step)
        steepness = gradient_norms(step.discriminator, interpolate(step.real, step.fake))
        penalty = (steepness - 1).square().mean()
        step.notes["penalty"] = penalty.detach()
        return loss + self.penalty * penalty

    def generator_loss(self, step: Step) -> Tensor:
        """−E f(G(z))."""
        return -step.judge(step.fake).mean()


def interpolate(real: Tensor, fake: Tensor) -> Tensor:
    """x̂ = ε x + (1 − ε) G(z), one ε of U[0, 1) a sample."""
    ε = one_a_sample(real)
    return ε * real + (1 - ε) * fake
