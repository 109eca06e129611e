"""`/classify` brings a digit to MNIST's form; what measures generators never does."""

from pathlib import Path

import numpy as np
from evaluation.packing import LIMITS, pngs, zipped
from PIL import Image

from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.spool import ImageShape
from service.imaging import Pixels
from service.metrics.fid import fid
from service.store import ImageInput

SPEC = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,), ink="light", frame="centred")
SEVEN = np.asarray(Image.open(Path(__file__).parents[1] / "data" / "seven.png"))


def sevens(count: int, seed: int) -> Pixels:
    """One digit, in ink of several strengths and on slightly uneven paper."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 4, (count, 28, 28))
    return (SEVEN * rng.uniform(0.7, 1.0, (count, 1, 1)) + noise).clip(0, 255).astype(np.uint8)[..., None]


def measured(images: Pixels, folder: Path) -> Pixels:
    """The images as an evaluation would hand them to an extractor of this convention, in the order sent."""
    folder.mkdir()
    upload = zipped(folder / "images.zip", pngs(images))
    working_dir = folder / "work"
    working_dir.mkdir()
    samples = open_samples(upload, working_dir=working_dir, shape=ImageShape.of(SPEC), limits=LIMITS)
    assert samples.as_sent is not None
    assert isinstance(samples.images, np.ndarray)
    found: Pixels = np.asarray(samples.images)[samples.as_sent]
    return found


def test_an_evaluation_turns_no_ink_and_moves_no_digit(tmp_path: Path) -> None:
    real, made = sevens(150, 1), sevens(150, 2)
    forms = {"as they are": made, "inverted": 255 - made, "shifted": np.roll(made, (3, -4), (1, 2))}
    distances = {}
    for name, images in forms.items():
        seen = measured(images, tmp_path / name.replace(" ", "-"))
        np.testing.assert_array_equal(seen, images)
        distances[name] = fid(real.reshape(150, -1) / 255, seen.reshape(150, -1) / 255).value
    assert distances["inverted"] > 100 * distances["as they are"]
    assert distances["shifted"] > 20 * distances["as they are"]
