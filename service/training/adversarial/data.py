"""What a generator learns from, as it should make it, and its samples as they are looked at."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from service.imaging import Pixels, encode_png, tile
from service.store import ImageOutput
from service.training.run import Run

SIDE = 400
"""Of a picture of points, in pixels."""
POINTS_IN_SIGHT = 5000
MARGIN = 0.25
"""Around the data, in parts of its extent."""


class Data(Protocol):
    """Samples of the data, and pictures of the generator's."""

    def sample(self, rows: int) -> Tensor:
        """Random samples of the data (rows, …), drawn by torch's generator."""
        ...

    def picture(self, samples: Tensor, path: Path) -> None:
        """Write samples of the generator as a PNG file."""
        ...


class Images:
    """Training images uint8 (N, H, W, C), and the samples of a generator of `spec` as such."""

    def __init__(self, images: NDArray[np.uint8], spec: ImageOutput, device: torch.device) -> None:
        self._pixels = torch.from_numpy(images)
        self._crop = spec.crop
        self._device = device

    def sample(self, rows: int) -> Tensor:
        """Random images as the generator should paint them, (rows, C, H, W) in [−1, 1], padded with black."""
        chosen = self._pixels[torch.randint(len(self._pixels), (rows,))].to(self._device)  # (rows, H, W, C) uint8
        x = chosen.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # (rows, C, H, W)
        return nn.functional.pad(x, [self._crop] * 4, value=-1.0)

    def pixels(self, samples: Tensor) -> Pixels:
        """A generator's samples (n, C, H, W) in [−1, 1] as pixels uint8 (n, H, W, C), cropped."""
        bottom, right = (side - self._crop for side in samples.shape[2:])
        inside = samples[:, :, self._crop : bottom, self._crop : right]
        shown = inside.float().add(1).mul(127.5).round().byte().permute(0, 2, 3, 1)
        return np.ascontiguousarray(shown.cpu().numpy())

    def picture(self, samples: Tensor, path: Path) -> None:
        """Write a grid of samples as a PNG file."""
        path.write_bytes(encode_png(tile(self.pixels(samples))))


class PlanePoints:
    """Points in the plane, (N, 2)."""

    def __init__(self, points: NDArray[np.float32], device: torch.device) -> None:
        self._points = torch.from_numpy(points)
        self._low, self._high = points.min(axis=0), points.max(axis=0)
        self._device = device

    def sample(self, rows: int) -> Tensor:
        """Random points, (rows, 2)."""
        return self._points[torch.randint(len(self._points), (rows,))].to(self._device)

    def picture(self, samples: Tensor, path: Path) -> None:
        """Write samples in blue over grey ones of the data, as a PNG file; what lies far off is left out."""
        page = np.full((SIDE, SIDE, 3), 255, np.uint8)
        self._dot(page, self._points[:POINTS_IN_SIGHT].numpy(), (200, 204, 212))
        self._dot(page, samples.float().cpu().numpy(), (31, 98, 168))
        path.write_bytes(encode_png(page))

    def _dot(self, page: Pixels, points: NDArray[np.float32], colour: tuple[int, int, int]) -> None:
        room = MARGIN * (self._high - self._low)
        places = (points - self._low + room) / (self._high - self._low + 2 * room)  # (n, 2), mostly in [0, 1]
        inside = places[((places >= 0) & (places < 1)).all(axis=1)]
        across, down = (inside * [SIDE, -SIDE] + [0, SIDE]).astype(int).clip(1, SIDE - 2).T
        for right, below in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            page[down + below, across + right] = colour


def data_of(run: Run, *, held_out: int) -> Data:
    """What the generator learns from: images without the last `held_out` of them, or points."""
    if run.manifest.output is None:
        return PlanePoints(run.points, run.device)
    learnt, _ = run.images.divide(held_out)
    return Images(learnt.images, run.manifest.output, run.device)
