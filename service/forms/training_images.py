"""Images that training did see, a few of each dataset, from which a quantised form takes the ranges of its numbers."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from service.errors import InvalidManifest
from service.files import write_whole
from service.imaging import Pixels
from service.store import Model

FOLDER = "training-images"
"""Beside the models of a layer of the store: a file for each dataset."""
COUNT = 128
"""Images of each file, the first of a training set."""


def training_images_of(model: Model) -> Pixels:
    """The images of a classifier's dataset (n, H, W, C). Raises InvalidManifest where there are none of its size."""
    file = file_for(model)
    try:
        images: Pixels = load_file(file)["images"]
    except (OSError, SafetensorError, KeyError) as error:
        raise InvalidManifest(
            f"There are no training images of {model.manifest.dataset} to take ranges from, which {file} would hold."
        ) from error
    if images.shape[1:] != (*model.input.size, model.input.channels):
        raise InvalidManifest(f"The images of {file} do not have the size of {model.id}.")
    return images


def file_for(model: Model) -> Path:
    """Where the images of a model's dataset lie: in the layer of the model, whichever version of it this is."""
    layer = model.folder.parent if model.folder.name == model.name else model.folder.parent.parent
    return layer / FOLDER / f"{model.manifest.dataset}.safetensors"


def keep_training_images(model: Model, load: Callable[[], Pixels]) -> None:
    """Write the first images of a training set, which is loaded for it, unless some are there. Raises OSError."""
    file = file_for(model)
    if not file.exists():
        images = load()[:COUNT].copy()
        file.parent.mkdir(exist_ok=True)
        write_whole(file, save({"images": images}))
