"""Small classifiers of a store with cards, and images on which their forms are verified."""

import tomllib
from pathlib import Path

import numpy as np
import torch
from doubles import add_card, add_model
from safetensors.numpy import save_file

from service.exactness import FormName, FormScore
from service.forms.training_images import FOLDER
from service.imaging import Pixels
from service.nets.registry import build_net
from service.store import Card, Model, ModelStore, write_card

MANIFEST = """
net = "{net}"
task = "classify"
chapter = 0
paper = "none"
summary = "A small classifier."
dataset = "squares"
options = {options}
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
[input]
size = [{side}, {side}]
channels = {channels}
pad = {pad}
mean = {mean}
std = {std}
[serving]
max_batch = 8
block = 4
"""
LENET5 = MANIFEST.format(net="lenet5", options="{}", side=28, channels=1, pad=2, mean="[0.1]", std="[0.7]")
VGG = MANIFEST.format(
    net="vgg",
    options='{ configuration = "A", classes = 10, size = 32, width = 0.05, dense = [], batch_norm = true }',
    side=32,
    channels=3,
    pad=0,
    mean="[0.4, 0.5, 0.6]",
    std="[0.2, 0.3, 0.2]",
)
NETS = {"lenet5": LENET5, "vgg": VGG}


def squares(count: int, side: int, channels: int) -> Pixels:
    """Images of noise (n, side, side, channels)."""
    pixels: Pixels = np.random.default_rng(7).integers(0, 256, (count, side, side, channels), np.uint8)
    return pixels


def add_classifier(layer: Path, name: str = "lenet5") -> Model:
    """Write a small classifier with a card, whose statistics are no longer those that it was drawn with; the model."""
    net = build_net(name, tomllib.loads(NETS[name])["options"])
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.uniform_(-0.2, 0.2)
    folder = add_model(layer, f"{name}-squares", net, NETS[name])
    add_card(folder)
    return ModelStore(layer).get(folder.name)


def score(accuracy: float) -> FormScore:
    """That a form has this accuracy."""
    return FormScore(accuracy=accuracy, agreement=1.0, apart=0.0, on="squares", how="made up")


def with_forms(model: Model, scores: dict[FormName, FormScore]) -> Model:
    """The model, its card saying this of its forms."""
    assert isinstance(model.card, Card)
    write_card(model.card.model_copy(update={"forms": scores}), model.folder / "card.json")
    return Model(model.folder)


def keep_seen(layer: Path, side: int = 28, channels: int = 1) -> None:
    """Write the training images of the dataset `squares` into a layer of a store."""
    (layer / FOLDER).mkdir()
    save_file({"images": squares(16, side, channels)}, layer / FOLDER / "squares.safetensors")


def hold_out(folder: Path, side: int = 28, channels: int = 1) -> Path:
    """Write the held-out images of the dataset `squares` into a folder; the folder."""
    folder.mkdir()
    save_file({"images": squares(16, side, channels)}, folder / "squares.safetensors")
    return folder
