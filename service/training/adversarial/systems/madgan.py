"""MAD-GAN: Ghosh et al., CVPR 2018 (arXiv 1704.02906), section 4, equations 2 and 3."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from service.nets.latents import choose
from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System

REAL = 0
"""The class of real samples; those of generator i are class 1 + i."""


class MADGAN(System):
    """Several generators and a discriminator that names the one a sample is from, which drives them apart.

    The discriminator answers with N + 1 logits, (n, N + 1); a latent's last number says which generator painted.
    """

    title = "MAD-GAN"

    def discriminator_loss(self, step: Step) -> Tensor:
        """−E log D_real(x) − Σ_i E log D_i(G_i(z)): every generator counts as much as the data."""
        real, fake = step.judge_both()  # (n, N + 1)
        generators = fake.shape[1] - 1
        assert step.z is not None
        names = 1 + choose(step.z, generators)  # (n,)
        return cross_entropy(real, _real(real)) + generators * cross_entropy(fake, names)

    def generator_loss(self, step: Step) -> Tensor:
        """−E log D_real(G_i(z)), each generator for itself: they need not be told apart, only be taken for real."""
        logits = step.judge(step.fake)
        return cross_entropy(logits, _real(logits))


def _real(logits: Tensor) -> Tensor:
    return torch.full((len(logits),), REAL, device=logits.device)
