import io
from pathlib import Path

import pytest
import torch
from doubles import FORECASTER
from rich.console import Console

from service.datasets.registry import DATASETS, find_series
from service.nets.echo_state import EchoState
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.store import Model
from service.training.classifier import measure_accuracy
from service.training.train import train

CLASSIFIER = """
net = "esn-classifier"
task = "classify"
chapter = 6
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
options = { units = 40 }
input = { size = [28, 28], channels = 1, mean = [0.0], std = [1.0] }
[training]
loop = "reservoir-classifier"
ridge = 1e-3
held_out = 50
"""

WAVEFORMS = """
net = "cwrnn"
task = "forecast"
chapter = 6
paper = ""
summary = ""
dataset = "waveforms"
options = { units = 9, groups = 5 }
[series]
channels = ["a", "b", "c", "d", "e"]
context = 320
memorised = 320
[serving]
block = 1
[training]
loop = "sequence"
epochs = 4
"""


def trained(folder: Path, manifest: str, data_dir: Path) -> tuple[Model, torch.nn.Module]:
    """A model trained in a folder, and its net with the weights that were written."""
    folder.mkdir()
    (folder / "model.toml").write_text(manifest, "utf-8")
    model = Model(folder)
    train(model, data_dir=data_dir, checkpoint_dir=folder / "checkpoints", console=Console(file=io.StringIO()))
    net = build_net(model.manifest.net, model.manifest.options)
    load_weights(net, model.weights)
    return model, net.eval()


def test_a_readout_is_fitted_to_the_training_part_in_its_own_units(tmp_path: Path) -> None:
    _, net = trained(tmp_path / "esn", FORECASTER, tmp_path)
    assert isinstance(net, EchoState)
    series = find_series("mackey-glass").load(tmp_path, "train").values
    assert net.mean.item() == pytest.approx(series.mean())
    assert net.deviation.item() == pytest.approx(series.std())
    unseen = torch.from_numpy(find_series("mackey-glass").load(tmp_path, "test").values[:1000])[None]
    assert (net(unseen) - unseen)[:, 100:].abs().max() < 0.05


def test_only_the_readout_is_in_the_file(tmp_path: Path) -> None:
    model, _ = trained(tmp_path / "esn", FORECASTER, tmp_path)
    assert model.weights.stat().st_size < 1000


def test_a_classifier_learns_from_rows(tmp_path: Path, data_dir: Path) -> None:
    model, net = trained(tmp_path / "esn-classifier", CLASSIFIER, data_dir)
    images = DATASETS["mnist"].load(data_dir, "test")
    assert measure_accuracy(net, images, model.input, torch.device("cpu")) > 0.9


def test_a_series_is_learnt_by_heart(tmp_path: Path) -> None:
    _, net = trained(tmp_path / "cwrnn", WAVEFORMS, tmp_path)
    target = torch.from_numpy(find_series("waveforms").load(tmp_path, "train").values).float()
    torch.manual_seed(0)
    fresh = build_net("cwrnn", {"units": 9, "groups": 5})
    nothing = torch.zeros(1, 320, 0)
    assert (net(nothing)[0] - target).square().mean() < (fresh(nothing)[0] - target).square().mean()
