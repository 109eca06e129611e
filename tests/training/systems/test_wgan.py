import pytest
import torch
from torch import nn

from service.training.systems.registry import SYSTEMS, build_system
from service.training.systems.wgan import WGAN

REAL, FAKE = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])


def test_the_critic_descends_minus_the_distance() -> None:
    assert WGAN().discriminator_loss(nn.Identity(), REAL, FAKE).item() == 1.5 - 4.0


def test_the_generator_raises_the_critics_mean() -> None:
    assert WGAN().generator_loss(nn.Identity(), REAL, FAKE).item() == -1.5


def test_every_weight_of_the_critic_is_clipped() -> None:
    critic = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    WGAN(clip=0.01).constrain(critic)
    assert max(weight.abs().max().item() for weight in critic.parameters()) == pytest.approx(0.01)
    assert all(weight.requires_grad for weight in critic.parameters())


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_built_from_its_name_and_nothing_else(name: str) -> None:
    assert isinstance(build_system(name, {}), SYSTEMS[name])
    with pytest.raises(ValueError, match="no_such_option"):
        build_system(name, {"no_such_option": 1})


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'vae'; there are .*wgan"):
        build_system("vae", {})
