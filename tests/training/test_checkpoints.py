from pathlib import Path

import pytest
import torch
from torch import nn

from service.errors import ConfigurationError
from service.training.checkpoints import Checkpoints

IDENTITY = {"net": "lenet5", "recipe": {"epochs": 3}}


def test_a_training_that_never_began_starts_at_nothing(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new", IDENTITY).restore(net=nn.Linear(2, 2)) == 0


def test_parts_random_numbers_and_time_come_back(tmp_path: Path) -> None:
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    before = Checkpoints(tmp_path, IDENTITY, every_s=0)
    before.restore(net=net)
    before.keep(7)
    seconds, drawn = before.seconds, torch.rand(3)

    after = Checkpoints(tmp_path, IDENTITY)
    assert after.restore(net=other) == 7
    assert torch.equal(other.weight, net.weight)
    assert torch.equal(torch.rand(3), drawn)
    assert after.seconds > 0
    assert seconds > 0
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_is_kept_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY, every_s=3600)
    checkpoints.restore(net=nn.Linear(2, 2))
    checkpoints.keep(1)
    assert not checkpoints.path.exists()
    checkpoints.keep(2, last=True)
    assert Checkpoints(tmp_path, IDENTITY).restore(net=nn.Linear(2, 2)) == 2


def test_the_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.restore(net=nn.Linear(2, 2))
    checkpoints.keep(1, last=True)
    with pytest.raises(ConfigurationError, match="another recipe"):
        Checkpoints(tmp_path, {**IDENTITY, "net": "alexnet"}).restore(net=nn.Linear(2, 2))


def test_a_forgotten_checkpoint_is_gone(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    checkpoints.restore(net=nn.Linear(2, 2))
    checkpoints.keep(1, last=True)
    checkpoints.forget()
    checkpoints.forget()
    assert checkpoints.restore(net=nn.Linear(2, 2)) == 0


def test_a_later_part_has_a_checkpoint_of_its_own_whose_time_counts_and_which_is_forgotten_too(tmp_path: Path) -> None:
    part = Checkpoints(tmp_path, IDENTITY).within("afterwards")
    part.restore(net=nn.Linear(2, 2))
    part.keep(3, last=True)

    resumed = Checkpoints(tmp_path, IDENTITY)
    again = resumed.within("afterwards")
    assert again.restore(net=nn.Linear(2, 2)) == 3
    assert resumed.restore(net=nn.Linear(2, 2)) == 0
    assert again.earlier > 0
    assert resumed.seconds > again.earlier
    resumed.forget()
    assert not part.path.exists()
