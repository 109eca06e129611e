"""Images that training never saw, a few of each dataset, on which every form is compared with the plain one."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from service.imaging import Pixels
from service.store import Model

FOLDER = "held-out"
"""Beside the models of the shipped layer: a file for each dataset."""
COUNT = 64
"""Images of each file, the first of a test set."""


def held_out_of(model: Model, folder: Path) -> Pixels | None:
    """The images of a classifier's dataset (n, H, W, C); None where there are none of its size."""
    try:
        images = load_file(folder / f"{model.manifest.dataset}.safetensors")["images"]
    except (OSError, SafetensorError, KeyError):
        return None
    return images if images.shape[1:] == (*model.input.size, model.input.channels) else None
