"""The pictures of docs/zfnet.md: projections over a training, and curves of what changes with images."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from experiments.chapter6 import COLOURS
from experiments.diagnosis.changing import LAYERS
from experiments.diagnosis.growing import SHOWN, Look
from experiments.diagnosis.record import Response
from experiments.pictures import laid_out
from service.drawing.explanation import enlarge
from service.drawing.scales import signed
from service.imaging import Pixels

CELL = 96
"""The side of one projection."""
NAMES = ("black", "red", "blue", "green", "violet")
"""What COLOURS are called."""
WIDTH, HEIGHT, MARGIN = 360, 200, 30
SHADES = 128
"""Of a page without colours of its own, so that it is small."""


def draw_growth(looks: Sequence[Look], images: Pixels) -> bytes:
    """A row for each unit: at each moment its strongest answer's projection, and the image beside it."""
    rows = []
    for name in looks[0]:
        for unit in range(len(looks[0][name])):
            cells = []
            for epoch, found in zip(SHOWN, looks, strict=True):
                projection, place = found[name][unit]
                pixels = signed(projection.permute(1, 2, 0).numpy())
                both = np.concatenate([enlarge(pixels, CELL), enlarge(images[place], CELL)], axis=1)
                cells.append((f"{name}, epoch {epoch}", Image.fromarray(both)))
            rows.append(cells)
    return _png(laid_out("A narrow ZFNet's features over its training", rows))


def draw_responses(responses: Sequence[Response], labels: Sequence[str]) -> bytes:
    """A column for each change; a row for each layer, and one for the probability of the true label."""
    rows = []
    for layer, title in LAYERS.items():
        rows.append([(f"{title}: {one.of}", _chart(one.amounts, one.distances[layer])) for one in responses])
    rows.append([(f"true label: {one.of}", _chart(one.amounts, one.probabilities, high=1.0)) for one in responses])
    legend = ", ".join(f"{label} {colour}" for label, colour in zip(labels, NAMES, strict=False))
    return _png(laid_out(f"How far features move, and the probability of the true label: {legend}", rows))


def _chart(amounts: Sequence[float], lines: Sequence[Sequence[float]], high: float | None = None) -> Image.Image:
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(panel)
    top = high or max(max(line) for line in lines) or 1.0
    left, right = amounts[0], amounts[-1]
    box = (MARGIN, 12, WIDTH - 12, HEIGHT - MARGIN)
    draw.rectangle(box, outline="#bbbbbb")
    for colour, line in zip(COLOURS, lines, strict=False):
        x = [box[0] + (amount - left) / (right - left) * (box[2] - box[0]) for amount in amounts]
        y = [box[3] - value / top * (box[3] - box[1]) for value in line]
        draw.line(list(zip(x, y, strict=True)), fill=colour, width=2)
    for words, place in ((f"{left:g}", box[0]), (f"{right:g}", box[2] - 16)):
        draw.text((place, box[3] + 6), words, fill="#333333", font_size=11)
    draw.text((2, box[1] - 4), f"{top:.2g}", fill="#333333", font_size=11)
    return panel


def _png(page: Image.Image) -> bytes:
    stream = io.BytesIO()
    page.quantize(SHADES, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()
