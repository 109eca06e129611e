"""A digit as people send it becomes a digit as MNIST has it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.imaging import Picture, as_light_ink, in_form, read_picture
from service.imaging.ink import CENTRED, INVERTED, PAPER, UNEVEN, Drawn
from service.imaging.pixels import Pixels

SEVEN = np.asarray(Image.open(Path(__file__).parents[1] / "data" / "seven.png"))
"""MNIST's first test image: light ink on black, 20 pixels high, its mass in the middle."""


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def drawn(data: bytes) -> Drawn | None:
    return as_light_ink(read_picture(data, limit_pixels=1 << 20), 28)


def on_transparency(ink: int) -> Callable[[Pixels], bytes]:
    def make(a: Pixels) -> bytes:
        pixels = np.full((28, 28, 4), ink, np.uint8)
        pixels[..., 3] = a
        return file_of(Image.fromarray(pixels, "RGBA"))

    return make


def in_corner(times: int) -> Callable[[Pixels], bytes]:
    def make(a: Pixels) -> bytes:
        frame = np.full((28 * times, 40 * times), 240, np.uint8)
        frame[-28:, :28] = 240 - (a.astype(float) * 220 / 255).astype(np.uint8)
        return file_of(Image.fromarray(frame))

    return make


def photograph(a: Pixels) -> bytes:
    """Dark ink on uneven bright paper, in colour, larger, off centre, as a JPEG."""
    big = np.asarray(Image.fromarray(a).resize((140, 140), Image.Resampling.BICUBIC), float) / 255
    paper = np.full((260, 200, 3), (214.0, 208.0, 190.0)) - np.linspace(0, 35, 200)[None, :, None]
    paper[70:210, 25:165] *= 1 - 0.8 * big[..., None]
    return file_of(Image.fromarray(paper.clip(0, 255).astype(np.uint8)), "JPEG")


FORMS: dict[str, tuple[Callable[[Pixels], bytes], tuple[str, ...]]] = {
    "dark on white": (lambda a: file_of(Image.fromarray(255 - a)), (INVERTED,)),
    "dark on grey": (lambda a: file_of(Image.fromarray(200 - a // 2)), (INVERTED,)),
    "light on grey": (
        lambda a: file_of(Image.fromarray(60 + (a.astype(int) * 195 // 255).astype(np.uint8))),
        (UNEVEN,),
    ),
    "black on transparency": (on_transparency(0), (PAPER.format("white"), INVERTED)),
    "white on transparency": (on_transparency(255), (PAPER.format("black"),)),
    "in a corner": (in_corner(1), (INVERTED, CENTRED)),
    "in the corner of a large sheet": (in_corner(4), (INVERTED, CENTRED)),
    "a photograph": (photograph, (INVERTED, CENTRED)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_nearly_the_same_digit_and_says_how(form: str) -> None:
    make, notes = FORMS[form]
    found = drawn(make(SEVEN))
    assert found is not None
    assert found.pixels.shape == (28, 28, 1)
    assert found.notes == notes
    a, b = found.pixels[..., 0].astype(float), SEVEN.astype(float)
    shifted = [np.roll(a, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    assert max(np.corrcoef(one.ravel(), b.ravel())[0, 1] for one in shifted) > 0.9


def test_a_digit_in_the_nets_form_is_left_alone() -> None:
    assert drawn(file_of(Image.fromarray(SEVEN))) is None


def test_a_digit_that_lies_off_centre_is_brought_there() -> None:
    moved = np.roll(SEVEN, (-4, -6), (0, 1))
    found = drawn(file_of(Image.fromarray(moved)))
    assert found is not None
    assert found.notes == (CENTRED,)
    np.testing.assert_allclose(found.pixels[..., 0], SEVEN, atol=3)


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("size", [28, 100])
def test_where_there_is_no_ink_nothing_is_done(value: int, size: int) -> None:
    assert drawn(file_of(Image.fromarray(np.full((size, size), value, np.uint8)))) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 2), (50, 1), (3, 400)])
@pytest.mark.parametrize("seed", range(4))
def test_odd_shapes_and_noise_are_brought_to_the_form_or_left_alone(shape: tuple[int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    found = drawn(file_of(Image.fromarray(noise)))
    assert found is None or found.pixels.shape == (28, 28, 1)


def test_many_pictures_are_found_in_form_as_each_of_them_is() -> None:
    random = np.random.default_rng(0)
    moved = [np.roll(SEVEN, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)]
    others = [
        255 - SEVEN,
        np.zeros_like(SEVEN),
        np.full_like(SEVEN, 9),
        SEVEN[::-1],
        np.maximum(SEVEN, np.eye(28, dtype=np.uint8)),
    ]
    blots = [np.where(random.random((28, 28)) < share, 255, 0).astype(np.uint8) for share in (0.001, 0.01, 0.5)]
    framed = [np.pad(SEVEN[4:24, 4:24], 4, constant_values=level) for level in (0, 1)]
    pictures = [Picture(pixels[:, :, None]) for pixels in (*moved, *others, *blots, *framed)]
    pictures.insert(3, Picture(np.zeros((28, 28, 3), np.uint8)))
    pictures.insert(5, Picture(SEVEN[:, :, None], (), SEVEN))
    found = in_form(pictures, 28)
    assert found == [in_form([picture], 28)[0] for picture in pictures]
    assert {True, False} == set(found)
