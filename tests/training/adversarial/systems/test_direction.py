"""Which way the players of every system push: signs and swaps show here, whatever the formula."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from service.nets.registry import build_net
from service.training.adversarial.systems.pacgan import pack
from service.training.adversarial.systems.registry import SYSTEMS, build_system
from service.training.adversarial.systems.step import Step

ROWS = 16
GENERATORS = 3


class Player(NamedTuple):
    """A discriminator of points that suits a system, and what of its answer says how real they are."""

    net: str
    options: dict[str, Any]
    output: str


LOGIT = Player("toy-discriminator", {}, "logit")
PLAYERS: dict[str, Player] = {
    "ebgan": Player("toy-autoencoder", {}, "energy"),
    "madgan": Player("toy-discriminator", {"outputs": 1 + GENERATORS}, "classes"),
    "minibatch": Player("toy-minibatch-discriminator", {}, "logit"),
    "pacgan": Player("toy-discriminator", {"packed": 2}, "logit"),
}


def realness(name: str, net: nn.Module, x: Tensor) -> Tensor:
    """How much a discriminator takes points for real, on the mean."""
    player = PLAYERS.get(name, LOGIT)
    said: Tensor = net(pack(x, 2) if name == "pacgan" else x)
    if player.output == "energy":
        said = -(said - x).norm(dim=1)
    elif player.output == "classes":
        said = said.log_softmax(dim=1)[:, 0]
    return said.mean()


@pytest.fixture(params=SYSTEMS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def a_step(name: str, *, together: bool = False) -> Step:
    """Real points right of the middle and fake ones left of it, before a fresh discriminator."""
    player = PLAYERS.get(name, LOGIT)
    net = build_net(player.net, {"width": 16, **player.options})
    spread = 0.3 * torch.randn(2, ROWS, 2)
    return Step(
        net,
        spread[0] + torch.tensor([2.0, 0.0]),
        spread[1] - torch.tensor([2.0, 0.0]),
        torch.randn(ROWS, 3),
        together=together,
        optimiser=torch.optim.SGD(net.parameters(), lr=0.01),
    )


def learn(name: str, step: Step) -> None:
    """Let the discriminator alone descend its loss for a while."""
    system = build_system(name, {})
    optimiser = torch.optim.Adam(step.discriminator.parameters(), lr=0.01)
    for _ in range(40):
        optimiser.zero_grad()
        system.discriminator_loss(step).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        system.constrain(step.discriminator)


@pytest.mark.parametrize("together", [False, True])
def test_a_discriminator_that_descends_its_loss_takes_real_samples_for_real(name: str, *, together: bool) -> None:
    step = a_step(name, together=together)
    learn(name, step)
    net = step.discriminator
    assert realness(name, net, step.real) > realness(name, net, step.fake)


def test_a_generator_that_descends_its_loss_is_taken_for_real_more_often(name: str) -> None:
    step = a_step(name)
    learn(name, step)
    fake = step.fake.clone().requires_grad_()
    moving = Step(step.discriminator, step.real, fake, step.z, optimiser=step.optimiser)
    (slope,) = torch.autograd.grad(build_system(name, {}).generator_loss(moving), fake)
    moved = fake - 0.05 * slope / slope.norm(dim=1).max()
    before, after = (realness(name, step.discriminator, x) for x in (fake, moved))
    assert after > before
