"""The forms in which people send digits: a test image of MNIST, uint8 (28, 28), to an image file."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Digit = NDArray[np.uint8]


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _scaled(low: float, high: float) -> Callable[[Digit], bytes]:
    """Paper of one shade of grey and ink of another."""
    return lambda digit: saved(Image.fromarray((low + digit * ((high - low) / 255)).astype(np.uint8)))


def _on_transparency(digit: Digit) -> bytes:
    pixels = np.zeros((*digit.shape, 4), np.uint8)
    pixels[..., 3] = digit
    return saved(Image.fromarray(pixels))


def _in_frame(times: int) -> Callable[[Digit], bytes]:
    """The digit in the middle of a frame so many times as large."""

    def make(digit: Digit) -> bytes:
        side = len(digit)
        frame = np.zeros((side * times, side * times), np.uint8)
        start = side * (times - 1) // 2
        frame[start : start + side, start : start + side] = digit
        return saved(Image.fromarray(frame))

    return make


def _photograph(digit: Digit) -> bytes:
    """Dark ink on uneven bright paper, in colour, larger, off centre, as a JPEG."""
    large = np.asarray(Image.fromarray(digit).resize((140, 140), Image.Resampling.BICUBIC), float) / 255
    paper = np.full((260, 200, 3), (214.0, 208.0, 190.0)) - np.linspace(0, 35, 200)[None, :, None]
    paper[70:210, 25:165] *= 1 - 0.8 * large[..., None]
    return saved(Image.fromarray(paper.clip(0, 255).astype(np.uint8)), "JPEG", quality=85)


def _turned_by_camera(digit: Digit) -> bytes:
    """16 bits a pixel, and a note that it is to be shown after a quarter turn to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(np.rot90(digit).astype(np.uint16) * 257), exif=exif)


AS_STORED = "as in the test set"
FORMS: dict[str, Callable[[Digit], bytes]] = {
    AS_STORED: lambda digit: saved(Image.fromarray(digit)),
    "dark ink on white paper": _scaled(255, 0),
    "ink 60 on paper 200": _scaled(200, 60),
    "white ink on grey 60": _scaled(60, 255),
    "black ink on transparency": _on_transparency,
    "in a frame twice as large": _in_frame(2),
    "in a frame three times as large": _in_frame(3),
    "in a frame four times as large": _in_frame(4),
    "a photograph of paper": _photograph,
    "16-bit grey that a camera turned": _turned_by_camera,
}
