"""Random planar distortions of images: LeNet-5's, and the scaling of VGG's training images."""

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from service.store import ImageInput


class Distortion(BaseModel):
    """Random planar affine distortions of each training image, as in section III of LeNet-5's paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: float = Field(0.0, ge=0, description="Degrees, at most, either way.")
    scale: float = Field(0.0, ge=0, lt=1, description="Relative change of size, at most, of either side.")
    shear: float = Field(0.0, ge=0, description="Horizontal shift a unit of height, at most.")
    shift: float = Field(0.0, ge=0, description="Pixels, at most, each way.")
    flip: bool = Field(default=False, description="Whether half of the images are mirrored left to right.")

    def sample(self, rows: int, side: int) -> Tensor:
        """Random maps from output to input coordinates, (rows, 2, 3)."""
        turn, stretch_x, stretch_y, shear, shift_x, shift_y = torch.empty(6, rows).uniform_(-1, 1)
        turn = turn * math.radians(self.rotation)
        mirror = torch.where(torch.rand(rows) < 0.5, -1.0, 1.0) if self.flip else torch.ones(rows)
        width = mirror * (1 + stretch_x * self.scale)
        height = 1 + stretch_y * self.scale
        cos, sin = turn.cos(), turn.sin()
        slant = shear * self.shear
        pixel = 2 * self.shift / side
        return torch.stack(
            [
                torch.stack([width * cos, width * slant * cos - height * sin, shift_x * pixel], dim=1),
                torch.stack([width * sin, width * slant * sin + height * cos, shift_y * pixel], dim=1),
            ],
            dim=1,
        )


def distort(x: Tensor, distortion: Distortion, spec: ImageInput) -> Tensor:
    """Each of the normalised images (n, C, H, W) under its own random map: bilinear, black coming in from outside."""
    return resample(x, distortion.sample(len(x), x.shape[-1]), spec)


def resample(x: Tensor, maps: Tensor, spec: ImageInput) -> Tensor:
    """Normalised images (n, C, H, W) under maps (n, 2, 3) from output to input coordinates, black outside."""
    # Sampling pads with 0, so black is 0 meanwhile.
    black = x.new_tensor(spec.mean).div(x.new_tensor(spec.std)).view(-1, 1, 1)
    grid = affine_grid(maps.to(x.device), list(x.shape), align_corners=False)  # (batch, H, W, 2)
    return grid_sample(x + black, grid, padding_mode="zeros", align_corners=False) - black
