from dataclasses import replace

import pytest
import torch
from torch import nn
from training.adversarial.systems.judges import FAKE, REAL, Logits, step

from service.training.adversarial.labels import Labels
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.step import Step


def test_the_discriminator_descends_the_papers_sum() -> None:
    expected = -REAL.sigmoid().log().mean() - (1 - FAKE.sigmoid()).log().mean()
    torch.testing.assert_close(GAN().discriminator_loss(step()), expected)


def test_real_and_fake_are_never_in_one_batch() -> None:
    discriminator = Logits()
    GAN().discriminator_loss(Step(discriminator, REAL, FAKE))
    assert discriminator.batches == [3, 2]


def test_they_are_where_they_are_to_be_together() -> None:
    discriminator = Logits()
    loss = GAN().discriminator_loss(Step(discriminator, REAL, FAKE, together=True))
    assert discriminator.batches == [5]
    assert torch.equal(loss, GAN().discriminator_loss(step()))


def test_the_minimax_generator_descends_log_one_minus_d() -> None:
    expected = (1 - FAKE.sigmoid()).log().mean()
    torch.testing.assert_close(GAN(form="minimax").generator_loss(step()), expected)


def test_the_non_saturating_generator_descends_minus_log_d() -> None:
    expected = -FAKE.sigmoid().log().mean()
    torch.testing.assert_close(GAN().generator_loss(step()), expected)


@pytest.mark.parametrize("form", ["non-saturating", "minimax"])
def test_a_sure_discriminator_leaves_every_loss_finite(form: str) -> None:
    system = GAN.model_validate({"form": form})
    sure, sorry = torch.tensor([1e4]), torch.tensor([-1e4])
    for real, fake in ((sure, sorry), (sorry, sure)):
        assert system.discriminator_loss(step(real, fake)).isfinite()
        assert system.generator_loss(step(real, fake)).isfinite()


def test_only_the_minimax_gradient_vanishes_where_the_discriminator_is_sure() -> None:
    def gradient(system: GAN) -> float:
        fake = torch.tensor([-20.0], requires_grad=True)
        (slope,) = torch.autograd.grad(system.generator_loss(step(REAL, fake)), fake)
        return abs(float(slope))

    assert gradient(GAN(form="minimax")) < 1e-8
    assert gradient(GAN()) == pytest.approx(1.0)


def test_soft_labels_weigh_both_logarithms() -> None:
    labels = Labels(real=(0.9, 0.9))
    log_d, log_rest = REAL.sigmoid().log(), (1 - REAL.sigmoid()).log()
    expected = -(0.9 * log_d + 0.1 * log_rest).mean() - (1 - FAKE.sigmoid()).log().mean()
    torch.testing.assert_close(GAN().discriminator_loss(replace(step(), labels=labels)), expected)


def test_the_generator_is_told_nothing_of_soft_labels() -> None:
    soft = replace(step(), labels=Labels(real=(0.7, 1.2), fake=(0.0, 0.3), flipped=0.1))
    assert torch.equal(GAN().generator_loss(soft), GAN().generator_loss(step()))


def test_the_discriminator_is_free() -> None:
    discriminator = nn.Linear(2, 1)
    weight = discriminator.weight.detach().clone()
    GAN().constrain(discriminator)
    assert torch.equal(discriminator.weight, weight)
