"""Images that training never saw, a few of each dataset, on which every form is compared with the plain one."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from service.files import write_whole
from service.imaging import Pixels
from service.store import Model

FOLDER = "held-out"
"""Beside the models of the shipped layer: a file for each dataset."""
COUNT = 64


def held_out_of(model: Model, folder: Path) -> Pixels | None:
    """The images of a classifier's dataset (n, H, W, C); None where there are none of its size."""
    try:
        images = load_file(folder / f"{model.manifest.dataset}.safetensors")["images"]
    except (OSError, SafetensorError, KeyError):
        return None
    return images if images.shape[1:] == (*model.input.size, model.input.channels) else None


def write_held_out(images: Pixels, path: Path) -> None:
    """Write such a file, of the first images of a test set."""
    path.parent.mkdir(exist_ok=True)
    write_whole(path, save({"images": images[:COUNT].copy()}))
