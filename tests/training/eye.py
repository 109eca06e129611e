"""A classifier that nobody trained, to look at the samples of generators with."""

from pathlib import Path

import torch

from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.store import Model

MANIFEST = """
net = "mlp"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
options = { hidden = [16] }
input = { size = [28, 28], channels = 1, mean = [0.1], std = [0.3] }
"""


def make_eye(folder: Path) -> Model:
    """A model in this folder, always the same."""
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(MANIFEST, "utf-8")
    model = Model(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_weights(build_net(model.manifest.net, model.manifest.options), model.weights)
    return model
