import pytest
import torch
from torch import Tensor, nn

from service.training.systems.gan import GAN


class Logits(nn.Module):
    """Takes its input for logits and remembers the sizes of the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return x


REAL, FAKE = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([-0.5, 1.5])


def test_the_discriminator_descends_the_papers_sum() -> None:
    expected = -REAL.sigmoid().log().mean() - (1 - FAKE.sigmoid()).log().mean()
    torch.testing.assert_close(GAN().discriminator_loss(Logits(), REAL, FAKE), expected)


def test_real_and_fake_are_never_in_one_batch() -> None:
    discriminator = Logits()
    GAN().discriminator_loss(discriminator, REAL, FAKE)
    assert discriminator.batches == [3, 2]


def test_the_minimax_generator_descends_log_one_minus_d() -> None:
    expected = (1 - FAKE.sigmoid()).log().mean()
    torch.testing.assert_close(GAN(form="minimax").generator_loss(Logits(), REAL, FAKE), expected)


def test_the_non_saturating_generator_descends_minus_log_d() -> None:
    expected = -FAKE.sigmoid().log().mean()
    torch.testing.assert_close(GAN().generator_loss(Logits(), REAL, FAKE), expected)


@pytest.mark.parametrize("form", ["non-saturating", "minimax"])
def test_a_sure_discriminator_leaves_every_loss_finite(form: str) -> None:
    system = GAN.model_validate({"form": form})
    sure, sorry = torch.tensor([1e4]), torch.tensor([-1e4])
    for real, fake in ((sure, sorry), (sorry, sure)):
        assert system.discriminator_loss(Logits(), real, fake).isfinite()
        assert system.generator_loss(Logits(), real, fake).isfinite()


def test_only_the_minimax_gradient_vanishes_where_the_discriminator_is_sure() -> None:
    def gradient(system: GAN) -> float:
        fake = torch.tensor([-20.0], requires_grad=True)
        (slope,) = torch.autograd.grad(system.generator_loss(Logits(), REAL, fake), fake)
        return abs(float(slope))

    assert gradient(GAN(form="minimax")) < 1e-8
    assert gradient(GAN()) == pytest.approx(1.0)


def test_the_discriminator_is_free() -> None:
    discriminator = nn.Linear(2, 1)
    weight = discriminator.weight.detach().clone()
    GAN().constrain(discriminator)
    assert torch.equal(discriminator.weight, weight)
