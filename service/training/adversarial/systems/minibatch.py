"""Minibatch discrimination: Salimans et al., NeurIPS 2016 (arXiv 1606.03498), sections 3.1 and 3.2."""

from torch import Tensor

from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.step import Step


class MinibatchDiscrimination(GAN):
    """GAN whose discriminator sees a whole batch at once; what it sees of it is `nets.minibatch`.

    `matching` gives the generator the paper's other aim, the mean features of the data instead of the verdict.
    """

    title = "minibatch discrimination"

    matching: bool = False

    def generator_loss(self, step: Step) -> Tensor:
        """GAN's, or with feature matching ‖E f(x) − E f(G(z))‖²."""
        if not self.matching:
            return super().generator_loss(step)
        real, fake = (_features(step, x) for x in (step.real, step.fake))
        return (real.detach() - fake).square().sum()


def _features(step: Step, x: Tensor) -> Tensor:
    f: Tensor = step.discriminator.features(x)  # type: ignore[operator]
    return f.float().flatten(1).mean(dim=0)
