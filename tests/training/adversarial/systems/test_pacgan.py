import pytest
import torch
from torch import Tensor, nn

from service.training.adversarial.labels import Labels
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.pacgan import PacGAN, pack
from service.training.adversarial.systems.step import Step


class Means(nn.Module):
    """One logit a pack; remembers the shapes that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        return x.flatten(1).mean(dim=1)


REAL, FAKE = torch.randn(6, 2, 4, 4), torch.randn(6, 2, 4, 4)


def test_a_pack_is_samples_side_by_side_along_their_channels() -> None:
    packs = pack(REAL, 3)
    assert packs.shape == (2, 6, 4, 4)
    assert torch.equal(packs[1, :2], REAL[3])
    assert torch.equal(packs[1, 4:], REAL[5])
    assert torch.equal(pack(torch.arange(8).view(4, 2), 2), torch.arange(8).view(2, 4))


def test_both_players_are_judged_by_packs() -> None:
    discriminator = Means()
    judged = Step(discriminator, REAL, FAKE, labels=Labels(real=(0.9, 0.9)))
    PacGAN(packed=2).discriminator_loss(judged)
    PacGAN(packed=2).generator_loss(judged)
    assert discriminator.shapes == [(3, 4, 4, 4)] * 3


def test_packs_of_one_are_gan() -> None:
    judged = Step(Means(), REAL, FAKE)
    assert torch.equal(PacGAN(packed=1).discriminator_loss(judged), GAN().discriminator_loss(judged))
    assert torch.equal(PacGAN(packed=1).generator_loss(judged), GAN().generator_loss(judged))


def test_a_batch_that_does_not_divide_into_packs_is_refused() -> None:
    PacGAN(packed=2).check(batch=64, optimiser=torch.optim.Adam)
    with pytest.raises(ValueError, match="packs of 3"):
        PacGAN(packed=3).check(batch=64, optimiser=torch.optim.Adam)
