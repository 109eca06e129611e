"""What is in the picture: image files to logits, logits to labelled probabilities."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.calibration import Calibration, Strangeness
from service.errors import UnreadableImage
from service.imaging import Picture, Pixels, Step, conform, in_form, read_picture, redrawn, reduced
from service.imaging.reading import ALPHA, NO_END
from service.store import ImageInput, Manifest
from service.tasks.pauses import Pauses
from service.tasks.sureness import FEW, probability_lists, strangeness_list

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


SHOWN_SIDE = 96
"""Pixels of the longer side of a picture of a step, at most."""
SEVERAL = 4
"""Images from which on an array of a few classes is sooner sorted than a list for each."""
PIXELS_EACH = 2
"""Of a decoded image, along each side, for one of the model's at least: nothing that resizing would keep is lost."""


def normalise(images: "Tensor", spec: ImageInput) -> "Tensor":
    """Pixels of 0 to 255 (n, H, W, C) to what the net was trained on, float32 (n, C, H + 2·pad, W + 2·pad).

    Pixels that are float32 already are worked on in place.
    """
    x = images.permute(0, 3, 1, 2).float().mul_(1 / 255)
    if spec.pad:
        padded = x.new_zeros(x.shape[0], x.shape[1], x.shape[2] + 2 * spec.pad, x.shape[3] + 2 * spec.pad)
        padded[:, :, spec.pad : -spec.pad, spec.pad : -spec.pad] = x
        x = padded
    return x.sub_(constant(spec.mean, x.device)).div_(constant(spec.std, x.device))


@lru_cache(maxsize=1024)
def constant(channels: tuple[float, ...], device: "torch.device") -> "Tensor":
    """A number for each channel, float32 (C, 1, 1), kept where it is used: no batch waits until it has been copied."""
    import torch

    with torch.inference_mode(mode=False):  # others may ask for gradients beside it
        return torch.tensor(channels, dtype=torch.float32, device=device).view(-1, 1, 1)


class Prepared(NamedTuple):
    """An image as a net takes it: stored pixels (1, H, W, C), and what was done to it for that, a sentence each."""

    pixels: Pixels
    notes: tuple[str, ...] = ()
    steps: tuple[Pixels, ...] = ()
    """How it looked after each of them, small (h, w, C); nothing where nobody wants to see that."""


def read_image(
    data: bytes, spec: ImageInput, *, limit_pixels: int, as_is: bool = False, shown: bool = False
) -> Prepared:
    """One image file, brought to the model's size and, unless it is to be taken as it is, to its manner of drawing.

    A JPEG whose pixels are many times what that needs is decoded at a part of its size. With `shown` there is a picture
    of each step. Raises UnreadableImage.
    """
    [found] = read_images([data], spec, limit_pixels=limit_pixels, as_is=as_is, shown=shown)
    if isinstance(found, UnreadableImage):
        raise found
    return found


def read_images(
    files: Sequence[bytes], spec: ImageInput, *, limit_pixels: int, as_is: bool = False, shown: bool = False
) -> list[Prepared | UnreadableImage]:
    """Several, of which much is looked at together; an unreadable one is an error in its place."""
    drawn_over = spec.ink and not as_is
    enough = NO_END if drawn_over else PIXELS_EACH * (spec.resize or max(spec.size))
    found: list[Picture | UnreadableImage] = []
    for data in files:
        try:
            found.append(read_picture(data, limit_pixels=limit_pixels, enough=enough))
        except UnreadableImage as error:
            found.append(error)
    pictures = [each for each in found if isinstance(each, Picture)]
    are_fine = iter(in_form(pictures, spec.size[0]) if drawn_over else [True] * len(pictures))
    return [
        _prepared(each, spec, is_fine=next(are_fine), shown=shown) if isinstance(each, Picture) else each
        for each in found
    ]


def _prepared(picture: Picture, spec: ImageInput, *, is_fine: bool, shown: bool) -> Prepared:
    """A picture of the model's size; one whose ink is not drawn as it is to be, drawn so."""
    if is_fine and not picture.alterations and picture.pixels.shape == (*spec.size, spec.channels):
        return Prepared(picture.pixels[None])  # as most are
    done = [Step(words, picture.pixels) for words in picture.alterations]
    if not is_fine and (drawn := redrawn(picture, spec.size[0])) is not None:
        done = [step for step in done if step.words != ALPHA] + list(drawn.steps)
        return _told(drawn.pixels, done, shown=shown)
    pixels = picture.pixels
    fitted = conform(pixels, size=spec.size, channels=spec.channels, shorter=spec.resize, resampling=spec.filter)
    if pixels.shape[:2] != tuple(spec.size):
        words = f"were resized from {pixels.shape[0]}×{pixels.shape[1]} to {spec.size[0]}×{spec.size[1]}"
        done.append(Step(words, _resized(pixels, spec) if shown else fitted))
    if pixels.shape[2] != spec.channels:
        done.append(Step(f"were converted to {'grey' if spec.channels == 1 else 'colour'}", fitted))
    return _told(fitted, done, shown=shown)


def _resized(pixels: Pixels, spec: ImageInput) -> Pixels:
    """The image at the model's size, in colour where it is."""
    return conform(pixels, size=spec.size, channels=pixels.shape[2], shorter=spec.resize, resampling=spec.filter)


def _told(pixels: Pixels, done: Sequence[Step], *, shown: bool) -> Prepared:
    """The pixels, and what was done for them."""
    looks = tuple(reduced(step.look, step.white, SHOWN_SIDE) for step in done) if shown else ()
    return Prepared(pixels[None], tuple(_sentence(step.words) for step in done), looks)


def _sentence(words: str) -> str:
    """What was done to images, said of one."""
    of_one = re.sub(r"\bwere\b", "was", words)
    return f"The image {of_one}."


def images_example(manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
    """The arrays of a call about images: stored pixels at the model's own size."""
    assert manifest.input is not None
    return [((rows, *manifest.input.size, manifest.input.channels), "uint8")]


class Classify:
    """Images uint8 (n, H, W, C) to logits float32 (n, classes); what these mean, the model's card knows."""

    exact = False
    any_length = False
    warmed = True
    pauses: Pauses = "never"
    price = 1

    def serves(self, manifest: Manifest) -> bool:
        """Any classifier."""
        return manifest.task == "classify"

    def prepare(self, data: bytes, spec: ImageInput, *, limit_pixels: int, as_is: bool = False) -> Prepared:
        """One image file as stored pixels, and what was done to it. Raises UnreadableImage."""
        return read_image(data, spec, limit_pixels=limit_pixels, as_is=as_is)

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """The net's logits."""
        assert manifest.input is not None
        logits: Tensor = net(normalise(tensors[0], manifest.input))
        return [logits.float()]

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of stored pixels."""
        return images_example(manifest, rows)

    def finish(
        self, logits: NDArray[np.float32], labels: Sequence[str], calibration: Calibration | None, top_k: int
    ) -> list[dict[str, Any]]:
        """Of each image of which these are the logits (n, classes) the `top_k` likeliest labels, likeliest first.

        Beside them how strange it is to the model, if its card knows, and a note where that is beyond the limit.
        """
        orders = _orders(logits, top_k)
        found: list[dict[str, Any]] = [
            {
                "labels": [{"label": labels[index], "index": index, "probability": row[index]} for index in order],
                "strangeness": None,
                "notes": [],
            }
            for order, row in zip(orders, probability_lists(logits, calibration), strict=True)
        ]
        if calibration is not None:
            known = calibration.strangeness
            strangeness = strangeness_list(logits, known, calibration.temperature)
            for prediction, value in zip(found, strangeness, strict=True):
                prediction["strangeness"] = value
                if value > known.limit:
                    prediction["notes"].append(_note(value, known))
        return found


def _orders(logits: NDArray[np.float32], top_k: int) -> list[list[int]]:
    """Of each row the `top_k` largest, the largest first, the first of equals first."""
    classes = logits.shape[1]
    if classes > FEW or len(logits) > SEVERAL:
        orders: list[list[int]] = (-logits).argsort(axis=1, kind="stable")[:, :top_k].tolist()
        return orders
    return [sorted(range(classes), key=row.__getitem__, reverse=True)[:top_k] for row in logits.tolist()]


def _note(found: float, known: Strangeness) -> str:
    """That an image may be nothing that the model knows."""
    return (
        f"This image is strange to the model ({known.method} {found:.4g}); only {100 * known.share:.3g} % of its"
        f" dataset's test images are beyond {known.limit:.4g}. It may show none of the labels."
    )
