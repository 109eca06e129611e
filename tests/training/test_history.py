import math
from pathlib import Path

import pytest
import torch
from torch import nn

from service.training.history import TrainingHistory, gradient_norm, read_history


def record(history: TrainingHistory, *losses: float) -> None:
    for loss in losses:
        history.add(loss=torch.tensor(loss))


def test_a_row_holds_the_means_since_the_last_and_what_is_measured_with_it(tmp_path: Path) -> None:
    history = TrainingHistory(tmp_path)
    record(history, 1.0, 2.0)
    history.add(distance=torch.tensor(7.0))
    assert history.write(2, fid=5.0) == {"step": 2, "loss": 1.5, "distance": 7.0, "fid": 5.0}
    record(history, 4.0)
    history.write(3)
    assert history.rows() == [{"step": 2, "loss": 1.5, "distance": 7.0, "fid": 5.0}, {"step": 3, "loss": 4.0}]
    assert len(history.path.read_text().splitlines()) == 2


def test_what_a_checkpoint_did_not_know_is_written_anew(tmp_path: Path) -> None:
    history = TrainingHistory(tmp_path)
    record(history, 1.0)
    history.write(1)
    record(history, 5.0)
    state = history.state_dict()
    record(history, 7.0)
    history.write(3)

    resumed = TrainingHistory(tmp_path)
    resumed.load_state_dict(state)
    assert resumed.rows() == [{"step": 1, "loss": 1.0}]
    record(resumed, 7.0)
    resumed.write(3)
    assert resumed.rows() == [{"step": 1, "loss": 1.0}, {"step": 3, "loss": 6.0}]


def test_a_training_that_begins_afresh_overwrites_the_history_of_an_earlier_one(tmp_path: Path) -> None:
    first = TrainingHistory(tmp_path)
    for step in range(5):
        record(first, 1.0)
        first.write(step)
    second = TrainingHistory(tmp_path)
    assert second.rows() == []
    record(second, 3.0)
    second.write(1)
    assert second.rows() == [{"step": 1, "loss": 3.0}]


def test_a_history_that_was_removed_is_begun_again(tmp_path: Path) -> None:
    first = TrainingHistory(tmp_path)
    record(first, 1.0)
    first.write(1)
    state = first.state_dict()
    first.path.unlink()
    second = TrainingHistory(tmp_path)
    second.load_state_dict(state)
    assert second.rows() == []
    record(second, 2.0)
    second.write(2)
    assert read_history(second.path) == [{"step": 2, "loss": 2.0}]


def test_what_is_not_finite_is_written_as_json_and_read_back(tmp_path: Path) -> None:
    history = TrainingHistory(tmp_path)
    record(history, math.inf)
    history.write(1)
    assert history.path.read_text() == '{"step": 1, "loss": "inf"}\n'
    assert history.rows() == [{"step": 1, "loss": math.inf}]


def test_the_norm_is_over_all_parameters_that_have_a_gradient() -> None:
    net = nn.Linear(2, 1)
    net.weight.grad = torch.tensor([[3.0, 0.0]])
    assert gradient_norm(net).item() == 3
    net.bias.grad = torch.tensor([4.0])
    assert gradient_norm(net).item() == pytest.approx(5)
