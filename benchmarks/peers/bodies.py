"""The images that every server is asked about: digits for LeNet-5, coloured patches for the nets of CIFAR-10."""

import numpy as np

from service.imaging import Pixels, as_light_ink, encode_png, read_picture
from service.nets.lenet5 import digit_codes

COUNT = 40
DIGIT, PATCHES = 28, 32


def bodies(model_id: str) -> list[bytes]:
    """PNG files, the same every time."""
    rng = np.random.default_rng(0)
    draw = digit if "mnist" in model_id else patches
    return [encode_png(draw(number, rng)) for number in range(COUNT)]


def digit(number: int, rng: np.random.Generator) -> Pixels:
    """A digit of LeNet-5's codes in grey and a little noise, as MNIST has its own, centred by their mass: (28, 28, 1).

    Only so are all asked the same: this service brings digits that come otherwise to that form, and its peers do not.
    """
    code = digit_codes()[number % 10].numpy().reshape(12, 7) > 0
    ink = np.kron(code, np.ones((2, 2))) * rng.integers(180, 250) + rng.integers(0, 6, (24, 14))
    pixels = np.zeros((DIGIT, DIGIT, 1), np.uint8)
    pixels[2:26, 7:21, 0] = ink
    drawn = as_light_ink(read_picture(encode_png(pixels), limit_pixels=pixels.size), DIGIT)
    return pixels if drawn is None else drawn.pixels


def patches(_: int, rng: np.random.Generator) -> Pixels:
    """Coarse patches of colour with noise: (32, 32, 3)."""
    coarse = np.kron(rng.integers(30, 220, (4, 4, 3)), np.ones((8, 8, 1), np.int64))
    return (coarse + rng.integers(-20, 20, (PATCHES, PATCHES, 3))).astype(np.uint8)
