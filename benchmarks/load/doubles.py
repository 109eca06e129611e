"""Models whose nets only stand for others: classifiers of two labels, in a layer of a store."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

MANIFEST = """
net = "{net}"
task = "classify"
chapter = 0
paper = "none"
summary = "Stands for another."
dataset = "none"
labels = ["a", "b"]
{options}
[input]
size = [{side}, {side}]
channels = 1
mean = [0.0]
std = [1.0]
[serving]
max_batch = {batch}
block = {batch}
"""


def add_double(
    layer: Path, net: "nn.Module", *, kind: str, side: int, batch: int, model_id: str = "", options: str = ""
) -> None:
    """Write a model that has this net, which the registry knows as `kind`; it is called so, too, unless an id is given.

    Images are of `side` pixels a side, and so many make a batch; `options` are lines of the manifest.
    """
    from service.nets.weights import save_weights  # which loads torch

    folder = layer / (model_id or kind)
    folder.mkdir(parents=True)
    manifest = MANIFEST.format(net=kind, side=side, batch=batch, options=options)
    (folder / "model.toml").write_text(manifest, "utf-8")
    save_weights(net, folder / "weights.safetensors")
