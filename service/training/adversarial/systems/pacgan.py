"""PacGAN: Lin, Khetan, Fanti, Oh, NeurIPS 2018 (arXiv 1712.04086), section 2."""

from dataclasses import replace

from pydantic import Field
from torch import Tensor, optim

from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.step import Step


class PacGAN(GAN):
    """GAN whose discriminator judges several samples at once: what a collapsed generator packs looks all the same.

    Its discriminator's `channels` are `packed` times those of one sample.
    """

    title = "PacGAN"

    packed: int = Field(2, ge=1, description="Samples in a pack.")

    def discriminator_loss(self, step: Step) -> Tensor:
        """GAN's, one verdict a pack."""
        return super().discriminator_loss(self._packed(step))

    def generator_loss(self, step: Step) -> Tensor:
        """GAN's, one verdict a pack."""
        return super().generator_loss(self._packed(step))

    def check(self, *, batch: int, optimiser: type[optim.Optimizer]) -> None:  # noqa: ARG002 - any will do
        """Raise ValueError where a batch does not divide into packs."""
        if batch % self.packed:
            raise ValueError(f"a batch of {batch} does not divide into packs of {self.packed}")

    def _packed(self, step: Step) -> Step:
        return replace(step, real=pack(step.real, self.packed), fake=pack(step.fake, self.packed))


def pack(x: Tensor, packed: int) -> Tensor:
    """Samples (n, C, …) side by side along their channels, (n / packed, packed · C, …)."""
    return x.reshape(len(x) // packed, packed * x.shape[1], *x.shape[2:])
