"""Unrolled GAN: Metz, Poole, Pfau, Sohl-Dickstein, ICLR 2017 (arXiv 1611.02163), section 2.2."""

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn, optim
from torch.func import functional_call

from service.training.adversarial.differentiable import Rule, Weights, rule_of, unrolls
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.step import Step


class UnrolledGAN(GAN):
    """GAN whose generator is judged by the discriminator that its samples would make of the present one in K steps.

    f_K(θ_G, θ_D) = f(θ_G, θ_D^K(θ_G, θ_D)),  θ_D^{k+1} = θ_D^k − step(∂f(θ_G, θ_D^k) / ∂θ_D^k)

    The gradient flows through all K steps, moments of the optimiser included; they are taken on copies, so that the
    discriminator itself is as before. All of them see the batch of the step.
    """

    title = "Unrolled GAN"

    steps: int = Field(5, ge=0, description="K; none is GAN.")

    def generator_loss(self, step: Step) -> Tensor:
        """GAN's, against the discriminator K steps ahead."""
        return super().generator_loss(replace(step, discriminator=self.look_ahead(step)))

    def look_ahead(self, step: Step) -> "Ahead":
        """The discriminator after K steps of its optimiser on the step's samples, differentiable in them."""
        assert step.optimiser is not None
        ahead = Ahead(step.discriminator)
        rule: Rule = rule_of(step.optimiser, dict(step.discriminator.named_parameters()))
        for _ in range(self.steps):
            loss = self.discriminator_loss(replace(step, discriminator=ahead, notes={}))
            slopes = torch.autograd.grad(loss, tuple(ahead.weights.values()), create_graph=True)
            ahead.weights = rule.step(ahead.weights, dict(zip(ahead.weights, slopes, strict=True)))
        return ahead

    def check(self, *, batch: int, optimiser: type[optim.Optimizer]) -> None:  # noqa: ARG002 - any will do
        """Raise ValueError where the discriminator's optimiser has no differentiable form here."""
        if not unrolls(optimiser):
            raise ValueError(f"steps of {optimiser.__name__} cannot be unrolled; those of Adam and SGD can")


class Ahead(nn.Module):
    """A discriminator with other weights than its own, which stay as they are, its statistics too."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self._module = [discriminator]  # in a list, so that it does not become a part of this one
        self.weights: Weights = {
            name: weight.detach().requires_grad_() for name, weight in discriminator.named_parameters()
        }
        self._statistics = {name: buffer.clone() for name, buffer in discriminator.named_buffers()}

    def forward(self, x: Tensor) -> Tensor:
        """What the discriminator would say with these weights."""
        said: Tensor = functional_call(self._module[0], {**self.weights, **self._statistics}, (x,))
        return said
