"""Minibatch discrimination: Salimans et al., NeurIPS 2016 (arXiv 1606.03498), sections 3.1 and 3.2."""

from torch import Tensor

from service.training.systems.gan import GAN
from service.training.systems.turn import Turn


class MinibatchDiscrimination(GAN):
    """GAN whose discriminator sees a whole batch at once; what it sees of it is `nets.minibatch`.

    `matching` gives the generator the paper's other aim, the mean features of the data instead of the verdict.
    """

    matching: bool = False

    def generator_loss(self, turn: Turn) -> Tensor:
        """GAN's, or with feature matching ‖E f(x) − E f(G(z))‖²."""
        if not self.matching:
            return super().generator_loss(turn)
        real, fake = (_features(turn, x) for x in (turn.real, turn.fake))
        return (real.detach() - fake).square().sum()


def _features(turn: Turn, x: Tensor) -> Tensor:
    f: Tensor = turn.discriminator.features(x)  # type: ignore[operator]
    return f.float().flatten(1).mean(dim=0)
