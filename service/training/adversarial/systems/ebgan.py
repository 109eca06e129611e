"""EBGAN: Zhao, Mathieu, LeCun, ICLR 2017 (arXiv 1609.03126), section 2."""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System

TINY = 1e-12
"""Keeps the root differentiable where nothing is lost."""


class EBGAN(System):
    """A discriminator that is an auto-encoder: the energy of a sample is how far from itself it is remembered.

    D(x) = ‖Dec(Enc(x)) − x‖₂ over all dimensions, so that margins are the paper's: 10 for MNIST.
    """

    title = "EBGAN"

    margin: float = Field(10.0, gt=0, description="m: the energy from which on a fake sample is left alone.")
    pull_away: float = Field(0.1, ge=0, description="Weight of the pull-away term; 0 leaves it out.")

    def discriminator_loss(self, step: Step) -> Tensor:
        """E D(x) + E [m − D(G(z))]⁺."""
        real, fake = step.judge_both()
        of_real, of_fake = energy(real, step.real), energy(fake, step.fake)
        step.notes.update(real_energy=of_real.mean().detach(), fake_energy=of_fake.mean().detach())
        return of_real.mean() + (self.margin - of_fake).relu().mean()

    def generator_loss(self, step: Step) -> Tensor:
        """E D(G(z)) + weight · f_PT: the term is the generator's alone."""
        codes: Tensor = step.discriminator.features(step.fake)  # type: ignore[operator]
        remembered: Tensor = step.discriminator.head(codes)  # type: ignore[operator]
        loss = energy(remembered.float(), step.fake).mean()
        if not self.pull_away:
            return loss
        # nets that are trained side by side have batches of their own
        stack: int = getattr(step.discriminator, "stack", 1)
        term = pull_away(codes.float().reshape(stack, len(codes) // stack, -1))
        step.notes["pull_away"] = term.detach()
        return loss + self.pull_away * term


def energy(remembered: Tensor, x: Tensor) -> Tensor:
    """‖Dec(Enc(x)) − x‖₂ of each sample, (n,)."""
    root: Tensor = ((remembered - x).flatten(1).square().sum(dim=1) + TINY).sqrt()
    return root


def pull_away(codes: Tensor) -> Tensor:
    """f_PT = 1 / (N (N − 1)) Σ_{i≠j} cos(S_i, S_j)² of codes (…, N, d), the mean over batches of their own."""
    S = normalize(codes, dim=-1)  # noqa: N806 - the paper's letter
    squares = (S @ S.mT).square()
    others = ~torch.eye(S.shape[-2], dtype=torch.bool, device=S.device)
    return squares[..., others].mean()
