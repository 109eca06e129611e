"""What is done to training images of colour, on the device: cut, mirrored, scaled, recoloured, partly hidden.

All draws come from torch's generator on the CPU, so that a seed means the same on every device.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import pad

from service.store import ImageInput
from service.tasks.classify import normalise
from service.training.distortion import resample


class Augmentation(BaseModel):
    """What each training image goes through, in this order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: int = Field(0, ge=0, description="Black pixels laid around an image before one of its own size is cut out.")
    flip: bool = Field(default=False, description="Whether half of the images are mirrored left to right.")
    scale: tuple[float, float] | None = Field(
        None,
        description="Least and greatest relative size to which an image is scaled before one of its own size is cut"
        " out, as VGG's S in [256, 512] for windows of 224 (section 3.1).",
    )
    colour: float = Field(
        0.0, ge=0, description="Standard deviation of α in AlexNet's colour noise p·(α·λ) (section 4.1)."
    )
    cutout: int = Field(
        0, ge=0, description="Side in pixels of a square of mean colour laid over each image (DeVries, Taylor 2017)."
    )


class Colours(NamedTuple):
    """The principal components of a set of colours in [0, 1]: λ (C,) and, as columns, p (C, C)."""

    variances: Tensor
    components: Tensor

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> "Colours":
        """Those of images (n, H, W, C)."""
        channels = images.shape[-1]
        pixels = images.reshape(-1, channels)
        total, products = np.zeros(channels), np.zeros((channels, channels))
        for start in range(0, len(pixels), 1 << 20):
            part = pixels[start : start + (1 << 20)].astype(np.float64) / 255
            total += part.sum(axis=0)
            products += part.T @ part
        mean = total / len(pixels)
        variances, components = np.linalg.eigh(products / len(pixels) - np.outer(mean, mean))
        return cls(torch.from_numpy(variances).float(), torch.from_numpy(components).float())


class Augmenter:
    """Stored pixels uint8 (n, H, W, C), on whatever device, to what the net trains on, float32 (n, C, H, W)."""

    def __init__(self, augmentation: Augmentation, images: NDArray[np.uint8], spec: ImageInput) -> None:
        self._wanted = augmentation
        self._spec = spec
        self._colours = Colours.of(images) if augmentation.colour else None

    def __call__(self, images: Tensor) -> Tensor:
        """Each image by its own draws."""
        wanted = self._wanted
        if wanted.crop or wanted.flip:
            images = cut(images, border=wanted.crop, flip=wanted.flip)
        x = normalise(images, self._spec)
        if wanted.scale is not None:
            x = resample(x, draw_windows(len(x), *wanted.scale), self._spec)
        if self._colours is not None:
            x = x + self._draw_colours(len(x)).to(x.device)
        return hide(x, wanted.cutout) if wanted.cutout else x

    def _draw_colours(self, rows: int) -> Tensor:
        """One colour an image, in normalised units: (rows, C, 1, 1)."""
        assert self._colours is not None
        alpha = self._wanted.colour * torch.randn(rows, len(self._colours.variances))
        shift = (alpha * self._colours.variances) @ self._colours.components.T  # (rows, C)
        return (shift / torch.tensor(self._spec.std))[:, :, None, None]


def cut(images: Tensor, *, border: int, flip: bool) -> Tensor:
    """A window of each image's own size out of it and a black border; half of them mirrored where `flip`."""
    rows, height, width, _ = images.shape
    framed = pad(images, (0, 0, border, border, border, border))
    tops, lefts = torch.randint(2 * border + 1, (2, rows))
    columns = torch.arange(width).expand(rows, -1)
    if flip:
        columns = torch.where((torch.rand(rows) < 0.5)[:, None], columns.flip(1), columns)
    device = images.device
    vertical = (tops[:, None] + torch.arange(height)).to(device)  # (rows, H)
    horizontal = (lefts[:, None] + columns).to(device)  # (rows, W)
    which = torch.arange(rows, device=device)
    return framed[which[:, None, None], vertical[:, :, None], horizontal[:, None, :]]


def draw_windows(rows: int, least: float, greatest: float) -> Tensor:
    """Maps (rows, 2, 3) onto random windows of images scaled by `least` to `greatest`; below 1, with black around."""
    scale = torch.empty(rows).uniform_(least, greatest)
    shift_x, shift_y = torch.empty(2, rows).uniform_(-1, 1) * (1 - 1 / scale).abs()
    size, none = 1 / scale, torch.zeros(rows)
    return torch.stack([torch.stack([size, none, shift_x], dim=1), torch.stack([none, size, shift_y], dim=1)], dim=1)


def hide(x: Tensor, side: int) -> Tensor:
    """Normalised images (n, C, H, W) with a square of `side` pixels around a random pixel set to 0, the mean colour."""
    rows, _, height, width = x.shape
    middles_y, middles_x = torch.randint(height, (rows, 1)), torch.randint(width, (rows, 1))
    first, last = -(side // 2), (side - 1) // 2

    def covered(middles: Tensor, length: int) -> Tensor:
        offsets = torch.arange(length) - middles  # (rows, length)
        return (offsets >= first) & (offsets <= last)

    hidden = covered(middles_y, height)[:, :, None] & covered(middles_x, width)[:, None, :]  # (rows, H, W)
    return x.masked_fill(hidden[:, None].to(x.device), 0.0)
