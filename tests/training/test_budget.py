"""A training that has little time stops where it was best, says so, and goes on another day."""

from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from training.manifests import CLASSIFIER

from service.errors import ConfigurationError
from service.nets.lenet5 import LeNet5
from service.nets.registry import NETS
from service.store import Model
from service.training.budget import Best, Budget
from service.training.train import train


class Clock:
    """Tells a time that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_ends_before_a_round_that_would_end_too_late() -> None:
    clock = Clock()
    budget = Budget(10.0, clock)
    said = []
    for now in (1.0, 4.0, 5.0, 7.0, 7.5):
        clock.now = now
        said.append(budget.is_over())
    assert said == [False, False, False, False, True]
    assert not Budget(None, clock).is_over()


def test_the_best_is_the_lowest_score_and_nothing_where_none_was_a_number() -> None:
    best, nets = Best(), [nn.Linear(1, 1) for _ in range(4)]
    own = nn.Linear(1, 1)
    weight = own.weight.detach().clone()
    best.fill(own)
    assert torch.equal(own.weight, weight)
    for net, score in zip(nets, (3.0, 1.0, 2.0, float("nan")), strict=True):
        best.offer(net, score)
    chosen = nets[1].weight.detach().clone()
    nn.init.zeros_(nets[1].weight)
    best.fill(own)
    assert torch.equal(own.weight, chosen)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.toml").write_text(CLASSIFIER, "utf-8")
    return Model(folder)


def test_a_training_without_time_stops_after_one_round_and_goes_on_when_it_has_some(
    model: Model, data_dir: Path, tmp_path: Path
) -> None:
    run = partial(train, model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints")
    stopped = run(budget_s=0.0)
    assert stopped.noticed == ("its time of 0 s was up after 1 of 12 epochs",)
    assert (tmp_path / "checkpoints" / "checkpoint.pt").is_file()
    resumed = run()
    whole = train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "others")
    assert resumed.noticed == ()
    assert resumed.sha256 == whole.sha256 != stopped.sha256


def test_cards_that_are_not_here_are_refused_in_words(
    model: Model, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = partial(train, model, data_dir=data_dir, checkpoint_dir=tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigurationError, match="--processes 4 needs 4 GPUs, and torch finds 1 here; `--device cpu`"):
        run(device="cuda:0", processes=4)
    with pytest.raises(ConfigurationError, match="--device cuda:2 needs 3 GPUs, and torch finds 1 here"):
        run(device="cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigurationError, match="--device cuda needs 1 GPU, and torch finds none here"):
        run(device="cuda")


class Noting(LeNet5):
    """Notes how cards would multiply while it is trained."""

    noted: ClassVar[set[str]] = set()

    def forward(self, x: Tensor) -> Tensor:
        """As ever."""
        self.noted.add(torch.backends.cudnn.conv.fp32_precision)
        return super().forward(x)


@pytest.mark.parametrize(("precision", "multiplied"), [("float32", "ieee"), ("tf32", "tf32")])
def test_a_recipe_computes_in_the_precision_that_it_names(
    model: Model, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, multiplied: str
) -> None:
    monkeypatch.setitem(NETS, "lenet5", Noting)
    Noting.noted.clear()
    manifest = CLASSIFIER.replace("epochs = 12", f'epochs = 1\nprecision = "{precision}"')
    (model.folder / "model.toml").write_text(manifest, "utf-8")
    before = torch.backends.cudnn.conv.fp32_precision
    card = train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints")
    assert Noting.noted == {multiplied, before}, "its layers are looked at afterwards"
    assert card.recipe["precision"] == precision
    assert torch.backends.cudnn.conv.fp32_precision == before
