import copy
import math

import pytest
import torch
from torch import Tensor, nn
from training.adversarial.systems.judges import Line

from service.nets.dcgan32 import DCGAN32Discriminator
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.unrolled import UnrolledGAN


def σ(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_gradient_equals_a_hand_computed_one_on_a_game_of_two_parameters() -> None:
    # D(x) = σ(d x), the only real sample x, the generator's only sample g; one step of gradient descent of D:
    #   d' = d + η (x σ(−d x) − g σ(d g)),    ∂d'/∂g = −η (σ(d g) + g d σ'(d g))
    #   loss = −log σ(d' g),    ∂loss/∂g = −σ(−d' g) (d' + g ∂d'/∂g)
    d, g, x, η = 0.7, -0.4, 1.3, 0.5
    after = d + η * (x * σ(-d * x) - g * σ(d * g))
    slope = -η * (σ(d * g) + g * d * σ(d * g) * σ(-d * g))
    expected = -σ(-after * g) * (after + g * slope)

    discriminator, fake = Line(d), torch.tensor([[g]], requires_grad=True)
    optimiser = torch.optim.SGD(discriminator.parameters(), lr=η)
    step = Step(discriminator, torch.tensor([[x]]), fake, optimiser=optimiser)
    (found,) = torch.autograd.grad(UnrolledGAN(steps=1).generator_loss(step), fake)
    assert found.item() == pytest.approx(expected, rel=1e-5)

    without_looking_through = -σ(-after * g) * after
    assert found.item() != pytest.approx(without_looking_through, rel=0.05)


def test_two_steps_agree_with_finite_differences() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0)).double()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1, betas=(0.5, 0.9))
    real, start = torch.randn(4, 2).double(), torch.randn(4, 2).double()
    GAN().discriminator_loss(Step(net, real, start)).backward()  # type: ignore[no-untyped-call]
    optimiser.step()

    def loss(fake: Tensor) -> Tensor:
        ahead = UnrolledGAN(steps=2).look_ahead(Step(net, real, fake, optimiser=optimiser))
        return ahead(fake).sum()  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(loss, start.requires_grad_(), eps=1e-6, atol=1e-3)  # losses have single precision


def test_no_step_ahead_is_gan() -> None:
    step = Step(Line(0.3), torch.randn(4, 1), torch.randn(4, 1), optimiser=torch.optim.SGD([Line(0.3).w], lr=1.0))
    assert torch.equal(UnrolledGAN(steps=0).generator_loss(step), GAN().generator_loss(step))


def test_the_discriminator_and_its_optimiser_are_as_before() -> None:
    net = DCGAN32Discriminator(width=2, channels=1)
    optimiser = torch.optim.Adam(net.parameters())
    real, fake = torch.randn(4, 1, 32, 32), torch.randn(4, 1, 32, 32, requires_grad=True)
    step = Step(net, real, fake, optimiser=optimiser)
    GAN().discriminator_loss(step).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    optimiser.zero_grad()
    net.requires_grad_(requires_grad=False)
    before, moments = copy.deepcopy(net.state_dict()), copy.deepcopy(optimiser.state_dict())
    UnrolledGAN(steps=2).generator_loss(step).backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())
    for place, known in optimiser.state_dict()["state"].items():
        assert all(torch.equal(known[name], moments["state"][place][name]) for name in known)


def test_the_discriminator_ahead_is_the_one_that_its_optimiser_would_reach() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05, betas=(0.5, 0.999))
    step = Step(net, torch.randn(8, 2), torch.randn(8, 2), optimiser=optimiser)

    def descend() -> None:
        optimiser.zero_grad()
        GAN().discriminator_loss(step).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    for _ in range(3):
        descend()
    ahead = UnrolledGAN(steps=4).look_ahead(step)
    for _ in range(4):
        descend()
    for name, weight in net.named_parameters():
        torch.testing.assert_close(ahead.weights[name], weight)


def test_an_optimiser_that_cannot_be_unrolled_is_refused() -> None:
    with pytest.raises(ValueError, match="RMSprop cannot be unrolled"):
        UnrolledGAN().check(batch=4, optimiser=torch.optim.RMSprop)
