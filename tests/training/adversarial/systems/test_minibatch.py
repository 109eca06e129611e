import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from service.training.adversarial.systems.minibatch import MinibatchDiscrimination
from service.training.adversarial.systems.step import Step


class Seen(nn.Module):
    """Features are the sample, the logit is its first number."""

    def features(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


REAL, FAKE = torch.randn(6, 3), torch.randn(4, 3)


def test_the_losses_are_those_of_gan() -> None:
    system = MinibatchDiscrimination()
    judged = Step(Seen(), REAL, FAKE)
    torch.testing.assert_close(
        system.discriminator_loss(judged), softplus(-REAL[:, 0]).mean() + softplus(FAKE[:, 0]).mean()
    )
    torch.testing.assert_close(system.generator_loss(judged), softplus(-FAKE[:, 0]).mean())


def test_feature_matching_compares_the_means_of_the_features() -> None:
    loss = MinibatchDiscrimination(matching=True).generator_loss(Step(Seen(), REAL, FAKE))
    torch.testing.assert_close(loss, (REAL.mean(dim=0) - FAKE.mean(dim=0)).square().sum())


def test_feature_matching_moves_the_fake_samples_towards_the_real_mean_and_leaves_the_real_ones() -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    MinibatchDiscrimination(matching=True).generator_loss(Step(Seen(), real, fake)).backward()  # type: ignore[no-untyped-call]
    assert real.grad is None
    assert fake.grad is not None
    expected = 2 * (FAKE.mean(dim=0) - REAL.mean(dim=0)) / len(FAKE)
    torch.testing.assert_close(fake.grad, expected.expand_as(FAKE))
