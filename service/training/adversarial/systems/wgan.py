"""WGAN: Arjovsky, Chintala, Bottou, ICML 2017 (arXiv 1701.07875), algorithm 1."""

import torch
from pydantic import Field
from torch import Tensor, nn

from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System


class WGAN(System):
    """A critic f whose mean difference on real and fake estimates their Wasserstein distance: no sigmoid, no log."""

    title = "WGAN"

    clip: float = Field(0.01, gt=0)
    biases: bool = Field(
        default=True,
        description="Whether biases are clipped too, as the authors do. They bound no slope, and a unit whose bias and"
        " weights reach no farther than c bends near the origin only.",
    )

    def discriminator_loss(self, step: Step) -> Tensor:
        """E f(G(z)) − E f(x): minus the estimate of the distance."""
        return -estimate_distance(step)

    def generator_loss(self, step: Step) -> Tensor:
        """−E f(G(z))."""
        return -step.judge(step.fake).mean()

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        """Clip every weight of the critic to [−c, c], which bounds its Lipschitz constant."""
        for name, weight in discriminator.named_parameters():
            if self.biases or not name.endswith("bias"):
                weight.clamp_(-self.clip, self.clip)


def estimate_distance(step: Step) -> Tensor:
    """E f(x) − E f(G(z)), noted as `distance`."""
    real, fake = step.judge_both()
    distance = real.mean() - fake.mean()
    step.notes["distance"] = distance.detach()
    return distance
