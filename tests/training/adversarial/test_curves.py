import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.training.adversarial.curves import COLOURS, HEIGHT, WIDTH, draw_curves


def rows(**measures: float) -> list[dict[str, float]]:
    return [{"step": step, **{name: value * step for name, value in measures.items()}} for step in (50, 100, 150)]


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.parametrize(
    ("measures", "panels"),
    [
        ({"fid": 1.0}, 1),
        ({"discriminator_loss": 1.0, "generator_loss": 2.0}, 1),
        ({"fid": 1, "modes": 2, "good": 0}, 3),
    ],
)
def test_each_thing_that_was_measured_has_a_chart(measures: dict[str, float], panels: int, tmp_path: Path) -> None:
    draw_curves(rows(**measures), tmp_path / "curves.png")
    assert size(tmp_path / "curves.png") == (2 * WIDTH, HEIGHT * ((panels + 1) // 2))


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    draw_curves([], tmp_path / "curves.png")
    draw_curves([{"step": 1.0, "fid": math.nan}], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_line_climbs_as_its_numbers_do(tmp_path: Path) -> None:
    draw_curves([{"step": 0, "fid": 0.0}, {"step": 100, "fid": 8.0}], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        pixels = np.asarray(picture).astype(int)
    drawn = np.abs(pixels - COLOURS[0]).sum(axis=2) < 60
    left, right = (np.flatnonzero(drawn[:, columns].any(axis=1)).mean() for columns in (slice(70, 90), slice(420, 440)))
    assert left > right + 100


def test_one_measurement_and_a_constant_are_drawn_too(tmp_path: Path) -> None:
    draw_curves([{"step": 0, "fid": 3.0}], tmp_path / "one.png")
    draw_curves([{"step": step, "fid": 0.0} for step in range(9)], tmp_path / "flat.png")
    assert size(tmp_path / "one.png") == size(tmp_path / "flat.png")
