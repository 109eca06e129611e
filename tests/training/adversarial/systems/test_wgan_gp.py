import pytest
import torch
from torch import Tensor, nn
from training.adversarial.systems.judges import Line

from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.wgan_gp import WGANGP, interpolate


def test_an_interpolate_uses_one_epsilon_a_sample() -> None:
    real, fake = torch.ones(50, 3, 8, 8), torch.zeros(50, 3, 8, 8)
    ε = interpolate(real, fake).flatten(1)  # what is left of the real sample, at each of its dimensions
    assert torch.equal(ε, ε[:, :1].expand_as(ε))
    assert len(torch.unique(ε[:, 0])) == 50
    assert ε.min() >= 0
    assert ε.max() < 1
    assert ε[:, 0].std().item() == pytest.approx(12**-0.5, rel=0.3)


def test_it_lies_between_its_own_real_and_fake_sample() -> None:
    real, fake = torch.randn(9, 2), torch.randn(9, 2)
    ε = ((interpolate(real, fake) - fake) / (real - fake)).round(decimals=3)
    torch.testing.assert_close(ε[:, 0], ε[:, 1], atol=2e-3, rtol=0)


@pytest.mark.parametrize(("w", "penalty"), [((0.6, 0.8), 0.0), ((0.0, 3.0), 4.0), ((0.3, 0.4), 0.25)])
def test_a_slope_of_one_is_free_and_others_are_paid_for_on_both_sides(w: tuple[float, float], penalty: float) -> None:
    real, fake = torch.randn(6, 2), torch.randn(6, 2)
    judged = Step(Line(*w), real, fake)
    loss = WGANGP(penalty=10.0).discriminator_loss(judged)
    distance = (real @ torch.tensor(w)).mean() - (fake @ torch.tensor(w)).mean()
    torch.testing.assert_close(loss.detach(), -distance + 10 * penalty, atol=1e-4, rtol=1e-4)
    assert judged.notes["distance"].item() == pytest.approx(distance.item(), abs=1e-5)
    assert judged.notes["penalty"].item() == pytest.approx(penalty, abs=1e-5)


def test_the_penaltys_gradient_reaches_the_critic() -> None:
    critic = Line(0.0, 3.0)
    same = torch.randn(6, 2)
    WGANGP().discriminator_loss(Step(critic, same, same)).backward()  # type: ignore[no-untyped-call]
    assert critic.w.grad is not None
    torch.testing.assert_close(critic.w.grad, torch.tensor([0.0, 10 * 2 * (3.0 - 1.0)]), atol=1e-3, rtol=1e-3)


def test_the_norm_is_that_of_each_sample_over_all_its_dimensions() -> None:
    class Sums(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).sum(dim=1)

    x = torch.randn(4, 3, 5, 5)
    judged = Step(Sums(), x, x)
    WGANGP().discriminator_loss(judged)
    assert judged.notes["penalty"].item() == pytest.approx((75**0.5 - 1) ** 2, rel=1e-4)


def test_a_critic_that_sees_nothing_leaves_the_loss_differentiable() -> None:
    critic = Line(0.0, 0.0)
    WGANGP().discriminator_loss(Step(critic, torch.randn(4, 2), torch.randn(4, 2))).backward()  # type: ignore[no-untyped-call]
    assert critic.w.grad is not None
    assert critic.w.grad.isfinite().all()


def test_the_generator_raises_the_critics_mean() -> None:
    fake = torch.randn(5, 2)
    loss = WGANGP().generator_loss(Step(Line(1.0, 2.0), fake, fake))
    torch.testing.assert_close(loss.detach(), -(fake @ torch.tensor([1.0, 2.0])).mean())


def test_the_slope_is_held_at_one_between_real_and_fake_samples() -> None:
    critic = Line(1.0, 0.0)
    WGANGP().discriminator_loss(Step(critic, torch.full((50, 2), 8.0), torch.zeros(50, 2)))
    of_real, of_fake, between = critic.shown
    assert (of_real.mean().item(), of_fake.mean().item()) == (8, 0)
    assert between.mean().item() == pytest.approx(4, abs=1.5)
    assert between.min() >= 0
    assert between.max() < 8
