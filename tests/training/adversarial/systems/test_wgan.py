import pytest
import torch
from torch import nn
from training.adversarial.systems.judges import Line, step

from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.wgan import WGAN

REAL, FAKE = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])


def test_the_critic_descends_minus_the_distance() -> None:
    judged = step(REAL, FAKE)
    assert WGAN().discriminator_loss(judged).item() == 1.5 - 4.0
    assert judged.notes["distance"].item() == 4.0 - 1.5


def test_the_generator_raises_the_critics_mean() -> None:
    assert WGAN().generator_loss(step(REAL, FAKE)).item() == -1.5


def test_every_weight_of_the_critic_is_clipped() -> None:
    critic = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    WGAN(clip=0.01).constrain(critic)
    assert max(weight.abs().max().item() for weight in critic.parameters()) == pytest.approx(0.01)
    assert all(weight.requires_grad for weight in critic.parameters())


def test_biases_are_left_alone_where_the_recipe_says_so() -> None:
    critic = nn.Linear(4, 4)
    nn.init.constant_(critic.bias, 3.0)
    WGAN(clip=0.01, biases=False).constrain(critic)
    assert critic.weight.abs().max().item() == pytest.approx(0.01)
    assert critic.bias.tolist() == [3.0] * 4


def test_the_weights_never_leave_the_box_while_the_critic_descends() -> None:
    critic, wgan = Line(0.005, -0.005), WGAN(clip=0.01)
    optimiser = torch.optim.RMSprop(critic.parameters(), lr=0.004)
    reached = []
    for _ in range(10):
        loss = wgan.discriminator_loss(Step(critic, torch.randn(8, 2) + 3, torch.randn(8, 2)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        wgan.constrain(critic)
        reached.append(critic.w.abs().max().item())
    assert max(reached) == pytest.approx(0.01)
    assert critic.w.tolist() == pytest.approx([0.01, 0.01])
