"""Microseconds of one core to decode one image with each decoder at hand: what `service/imaging` chose from.

    python -m benchmarks.decoders [--write]

OpenCV is measured where it is installed (`pip install opencv-python-headless`). Below that: what a JPEG takes until it
has a model's size, decoded as a whole by Pillow, as a whole by the decoder that was chosen, and as `/classify` decodes
it, which is in part where it has pixels to spare. Processor time counts, the least of seven readings that are taken in
turns, so that other work on the machine disturbs little. `--write` puts all of it into docs/inputs.md.
"""

import argparse
import importlib
import io
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pyspng
import simplejpeg
from PIL import Image

from benchmarks.load.machine import machine
from benchmarks.load.writing import put
from service.imaging import Pixels, conform, decode
from service.store import ImageInput
from service.tasks.classify import read_image

Decoder = Callable[[bytes], Any]

GOAL = 1.5
LIMIT = 1 << 30
SECONDS, READINGS = 0.05, 7
USUAL = ((375, 500), (500, 375))
"""As most images of ImageNet are."""
SIDES = ((375, 500), (768, 1024), (1200, 1600), (3000, 4000))
INPUTS = {
    "32×32": ImageInput(size=(32, 32), channels=3, mean=(0.0,) * 3, std=(1.0,) * 3),
    "224×224 of 256": ImageInput(size=(224, 224), channels=3, mean=(0.0,) * 3, std=(1.0,) * 3, resize=256),
}
"""What models take: the first as CIFAR's, the second as ImageNet's."""


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put them into docs/inputs.md, too")
    options = parser.parse_args()
    lines = [f"{machine()}.", "", *by_decoder(), "", *until_fitted()]
    print("\n".join(lines))
    if options.write:
        put("inputs.md", "decoders", lines)


def by_decoder() -> list[str]:
    """A table of what each decoder takes, and how much sooner than by Pillow the service has read a photograph."""
    files = {
        "PNG 28×28 grey": encoded((28, 28), "L", "PNG"),
        "PNG 32×32 RGB": encoded((32, 32), "RGB", "PNG"),
        "PNG 224×224 RGB": encoded((224, 224), "RGB", "PNG"),
        "JPEG 224×224 RGB": encoded((224, 224), "RGB", "JPEG"),
        **{f"JPEG {height}×{width}, a photograph's spectrum": photographed((height, width)) for height, width in USUAL},
    }
    decoders = decoders_here()
    lines = ["| image | " + " | ".join(decoders) + " |", "|---" * (len(decoders) + 1) + "|"]
    ratios = []
    for name, data in files.items():
        taken = dict(zip(decoders, _microseconds(decoders.values(), data), strict=True))
        lines.append(f"| {name} | {' | '.join(map(_told, taken.values()))} |")
        if "photograph" in name:
            ratios.append(taken["Pillow"] / taken["service.imaging"])
    said = " and ".join(f"{ratio:.2f}" for ratio in ratios)
    return [*lines, "", f"The service reads the two photographs {said} times as fast as Pillow (goal {GOAL})."]


def decoders_here() -> dict[str, Decoder]:
    """Every decoder that is installed, the service's own among them."""
    found: dict[str, Decoder] = {
        "Pillow": lambda data: np.asarray(Image.open(io.BytesIO(data))),
        "pyspng": pyspng.load,
        "simplejpeg": lambda data: simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False),
        "service.imaging": lambda data: decode(data, limit_pixels=LIMIT),
    }
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        return found
    return {**found, "OpenCV": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)}


def until_fitted() -> list[str]:
    """A table of what a JPEG takes until it has a model's size."""
    lines = ["| JPEG | for a model of | as a whole by Pillow | as a whole | as it is read |", "|---" * 5 + "|"]
    for sides in SIDES:
        data = photographed(sides)
        for name, spec in INPUTS.items():
            taken = _microseconds([partial(read, spec) for read in (_by_pillow, _whole, _as_it_is_read)], data)
            lines.append(f"| {sides[0]}×{sides[1]} | {name} | {' | '.join(map(_told, taken))} |")
    return lines


def _by_pillow(spec: ImageInput, data: bytes) -> Pixels:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return conform(pixels, size=spec.size, channels=spec.channels, shorter=spec.resize, resampling=spec.filter)


def _whole(spec: ImageInput, data: bytes) -> Pixels:
    pixels = decode(data, limit_pixels=LIMIT)
    return conform(pixels, size=spec.size, channels=spec.channels, shorter=spec.resize, resampling=spec.filter)


def _as_it_is_read(spec: ImageInput, data: bytes) -> Pixels:
    return read_image(data, spec, limit_pixels=LIMIT).pixels


def encoded(size: tuple[int, int], mode: str, kind: str) -> bytes:
    """An image file of smooth shapes with a little noise."""
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(0, 6, size[1]), np.linspace(0, 6, size[0]))
    channels = [np.sin(across + phase) * np.cos(down - phase) for phase in (0.0, 1.0, 2.0)]
    pixels: Pixels = ((np.stack(channels, -1) + 1) * 120 + rng.random((*size, 3)) * 15).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def photographed(size: tuple[int, int]) -> bytes:
    """A JPEG of noise with a photograph's spectrum, in which neighbours are alike: about as many bytes as one has."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    amplitude = 1 / np.maximum(frequency, 1 / max(size)) ** 1.2
    channels = [np.fft.ifft2(amplitude * np.exp(2j * np.pi * rng.random(size))).real for _ in range(3)]
    scaled = [(channel - channel.min()) / np.ptp(channel) * 255 for channel in channels]
    stream = io.BytesIO()
    Image.fromarray(np.stack(scaled, -1).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _microseconds(decoders: Iterable[Decoder], data: bytes) -> list[float]:
    """What each takes, the least of some readings that are taken in turns; NaN for one that does not read this."""
    some = list(decoders)
    least = [math.inf if _reads(decoder, data) else math.nan for decoder in some]
    for _ in range(READINGS):
        least = [
            found if math.isnan(found) else min(found, _once(decoder, data) * 1e6)
            for decoder, found in zip(some, least, strict=True)
        ]
    return least


def _reads(decoder: Decoder, data: bytes) -> bool:
    try:
        decoder(data)
    except (RuntimeError, ValueError):
        return False
    return True


def _told(microseconds: float) -> str:
    return "–" if math.isnan(microseconds) else f"{microseconds:,.0f}"


def _once(decoder: Decoder, data: bytes) -> float:
    """The mean of some runs."""
    began, runs = time.process_time(), 0
    while time.process_time() - began < SECONDS:
        decoder(data)
        runs += 1
    return (time.process_time() - began) / runs


if __name__ == "__main__":
    main()
