"""GAN: Goodfellow et al., NeurIPS 2014 (arXiv 1406.2661), in the form of its theory and in the one it recommends."""

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System


class GAN(System):
    """A discriminator that tells real from fake, and a generator that fools it; D(x) = σ(logit).

    With logits l: −log D = softplus(−l) and −log(1 − D) = softplus(l), which stay finite where D rounds to 0 or 1.
    """

    title: ClassVar[str] = "GAN"
    labelled: ClassVar[bool] = True

    form: Literal["non-saturating", "minimax"] = "non-saturating"

    def discriminator_loss(self, step: Step) -> Tensor:
        """−E log D(x) − E log(1 − D(G(z))); soft labels t weigh both logarithms, t and 1 − t."""
        real, fake = step.judge_both()
        if step.labels.are_hard:
            return softplus(-real).mean() + softplus(fake).mean()
        return _cross_entropy(real, step.labels.for_real(real)) + _cross_entropy(fake, step.labels.for_fake(fake))

    def generator_loss(self, step: Step) -> Tensor:
        """Minimax: E log(1 − D(G(z))). Non-saturating: −E log D(G(z))."""
        logit = step.judge(step.fake)
        return -softplus(logit).mean() if self.form == "minimax" else softplus(-logit).mean()


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return (targets * softplus(-logits) + (1 - targets) * softplus(logits)).mean()
