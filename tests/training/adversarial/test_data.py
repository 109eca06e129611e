from pathlib import Path

import numpy as np
import torch
from PIL import Image

from service.store import ImageOutput
from service.training.adversarial.data import SIDE, Images, PlanePoints

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
DATA = Images(PIXELS, ImageOutput(size=(28, 28), channels=1, latent=3, crop=2), torch.device("cpu"))


def test_images_are_painted_with_a_black_border_and_looked_at_without_it() -> None:
    x = DATA.sample(40)
    assert x.shape == (40, 1, 32, 32)
    assert x.abs().max() <= 1
    assert torch.unique(x[:, :, :2]).tolist() == torch.unique(x[:, :, :, -2:]).tolist() == [-1.0]
    shown = DATA.pixels(x)
    assert shown.dtype == np.uint8
    assert {image.tobytes() for image in shown} == {image.tobytes() for image in PIXELS}


def test_samples_become_one_picture(tmp_path: Path) -> None:
    DATA.picture(DATA.sample(4), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (62, 62)


def test_points_are_drawn_and_looked_at_over_the_data(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    data = PlanePoints(points, torch.device("cpu"))
    drawn = data.sample(30)
    assert {tuple(point) for point in drawn.tolist()} <= {tuple(point) for point in points.tolist()}
    far = torch.full((1, 2), 1e9)
    data.picture(torch.cat([torch.from_numpy(points.mean(axis=0))[None], far, far * torch.nan]), tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        pixels = np.asarray(picture)
    assert picture.size == (SIDE, SIDE)
    blue = np.argwhere((pixels == (31, 98, 168)).all(axis=2))
    assert len(blue) == 5
    assert np.abs(blue.mean(axis=0) - SIDE / 2).max() < SIDE / 5
