import pytest
import torch
from torch.nn.functional import softplus
from training.adversarial.systems.judges import Line

from service.training.adversarial.systems.dragan import DRAGAN, perturb
from service.training.adversarial.systems.step import Step


def test_a_real_sample_moves_by_at_most_half_a_deviation_of_the_batch_and_one_way() -> None:
    real = 3 * torch.randn(400, 2, 4)
    moved = perturb(real, 0.5) - real
    assert moved.min() >= -1e-5
    assert moved.max() <= 0.5 * real.std() + 1e-5
    assert moved.max() > 0.45 * real.std()
    assert moved.mean().item() == pytest.approx(0.5 * real.std().item() / 4, rel=0.1)  # the mean of α times that of U


def test_its_share_of_the_way_is_one_a_sample_and_its_noise_one_a_dimension() -> None:
    moved = perturb(torch.randn(3000, 50), 0.5)
    assert len(torch.unique(moved[0])) == 50
    shares = perturb(torch.linspace(-1, 1, 100_000).view(2000, 50), 1.0) - torch.linspace(-1, 1, 100_000).view(2000, 50)
    # Were α drawn for each dimension, the means over 50 of them would hardly differ between samples.
    assert shares.mean(dim=1).std() > 0.4 * shares.mean()


def test_the_penalty_is_on_the_slope_of_the_logit_around_real_samples_only() -> None:
    discriminator = Line(0.0, 3.0)
    real, fake = torch.randn(6, 2), torch.randn(6, 2) + 50
    judged = Step(discriminator, real, fake)
    loss = DRAGAN(penalty=10.0, slope=1.0).discriminator_loss(judged)
    expected = softplus(-3 * real[:, 1]).mean() + softplus(3 * fake[:, 1]).mean() + 10 * (3 - 1) ** 2
    torch.testing.assert_close(loss.detach(), expected)
    assert judged.notes["penalty"].item() == pytest.approx(4.0)
    assert [shown.max().item() < 40 for shown in discriminator.shown] == [True, False, True]


def test_the_generator_is_that_of_gan() -> None:
    fake = torch.randn(5, 2)
    loss = DRAGAN().generator_loss(Step(Line(1.0, 0.0), fake, fake))
    torch.testing.assert_close(loss.detach(), softplus(-fake[:, 0]).mean())
