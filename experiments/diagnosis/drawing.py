"""The pictures of docs/zfnet.md: projections over a training, how features move with images, what hiding parts does."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from experiments.chapter6 import COLOURS
from experiments.diagnosis.changing import LAYERS
from experiments.diagnosis.growing import SHOWN, Look
from experiments.diagnosis.hiding import LAYERS as HIDDEN
from experiments.diagnosis.record import Correspondence, Response
from experiments.pictures import laid_out
from service.drawing.explanation import enlarge
from service.drawing.scales import signed
from service.imaging import Pixels

CELL = 96
"""The side of one projection."""
NAMES = ("black", "red", "blue", "green", "violet")
"""What COLOURS are called."""
WIDTH, HEIGHT, MARGIN = 360, 200, 30
ROW, NAME, DOT = 22, 90, 4
"""The height of a class's line, the width of its name, the radius of a point on it."""
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


def draw_hiding(correspondences: Sequence[Correspondence], classes: Sequence[str]) -> bytes:
    """A panel for each layer: on each class's line Δ with the same place hidden and with places drawn."""
    panels = [(HIDDEN[one.layer], _pairs(one, classes)) for one in correspondences]
    return _png(
        laid_out(
            "Changes of opposite signs: the same place hidden black, places drawn red",
            [panels],
        )
    )


def _pairs(one: Correspondence, classes: Sequence[str]) -> Image.Image:
    panel = Image.new("RGB", (WIDTH, len(classes) * ROW + MARGIN), "white")
    draw = ImageDraw.Draw(panel)
    low, high = min(*one.same, *one.anywhere), max(*one.same, *one.anywhere)
    left, right = NAME + DOT, WIDTH - MARGIN

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    for place, (name, same, drawn) in enumerate(zip(classes, one.same, one.anywhere, strict=True)):
        y = ROW * place + ROW // 2
        draw.text((6, y - 7), name, fill="#333333", font_size=11)
        draw.line([(across(same), y), (across(drawn), y)], fill="#bbbbbb", width=2)
        for value, colour in ((drawn, COLOURS[1]), (same, COLOURS[0])):
            draw.circle((across(value), y), DOT, fill=colour)
    for value in (low, high):
        draw.text((across(value) - 12, len(classes) * ROW + 6), f"{value:.2f}", fill="#333333", font_size=11)
    return panel


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
