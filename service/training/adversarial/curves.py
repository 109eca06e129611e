"""The history of a training as one PNG: a small chart for each thing that was measured."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.imaging import encode_png
from service.training.history import Row

WIDTH, HEIGHT, COLUMNS = 460, 250, 2
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 26
FINER = 2
"""Drawn so many times as large and made smaller, which smooths the lines."""
INK, GREY, PALE = (40, 44, 52), (120, 126, 138), (226, 229, 234)
COLOURS = ((31, 98, 168), (214, 105, 27), (46, 125, 80))


class Panel(NamedTuple):
    """A chart: its title, and what is drawn in it by its name in the history."""

    title: str
    lines: dict[str, str]


PANELS = (
    Panel("loss", {"discriminator_loss": "discriminator", "generator_loss": "generator"}),
    Panel("norm of the gradient", {"discriminator_gradient": "discriminator", "generator_gradient": "generator"}),
    Panel("estimated Wasserstein distance", {"distance": ""}),
    Panel("energy", {"real_energy": "real", "fake_energy": "generated"}),
    Panel("FID", {"fid": ""}),
    Panel("1-NN accuracy", {"one_nn_real": "real", "one_nn_generated": "generated"}),
    Panel(
        "share of samples", {"rarest_class": "rarest class", "commonest_class": "commonest", "confident": "confident"}
    ),
    Panel("modes covered", {"modes": ""}),
    Panel("share of good samples", {"good": ""}),
    Panel("reverse KL", {"reverse_kl": ""}),
)

Point = tuple[float, float]


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Write the charts of all that these rows hold as a PNG file; nothing where they hold nothing."""
    panels = [(panel, tracks) for panel in PANELS if (tracks := _tracks(panel, rows))]
    if not panels:
        return
    height = HEIGHT * math.ceil(len(panels) / COLUMNS)
    image = Image.new("RGB", (FINER * WIDTH * COLUMNS, FINER * height), "white")
    for place, (panel, tracks) in enumerate(panels):
        row, column = divmod(place, COLUMNS)
        _Chart(ImageDraw.Draw(image), column * WIDTH, row * HEIGHT).draw(panel.title, tracks)
    image = image.resize((WIDTH * COLUMNS, height), Image.Resampling.LANCZOS)
    path.write_bytes(encode_png(np.asarray(image)))


def _tracks(panel: Panel, rows: Sequence[Row]) -> dict[str, list[Point]]:
    """The points of each line of a panel that has any."""
    found = {
        words: [(row["step"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
        for name, words in panel.lines.items()
    }
    return {words: points for words, points in found.items() if points}


class _Chart:
    """One panel at its place on the page; lengths are those of the finished picture."""

    def __init__(self, page: ImageDraw.ImageDraw, left: float, top: float) -> None:
        self._page, self._left, self._top = page, left, top
        self._font = ImageFont.load_default(size=11 * FINER)

    def draw(self, title: str, tracks: dict[str, list[Point]]) -> None:
        """Axes with their numbers, and each track in a colour of its own."""
        points = [point for track in tracks.values() for point in track]
        last = max(step for step, _ in points)
        low, high = _domain([value for _, value in points])

        def place(point: Point) -> Point:
            x = LEFT + (WIDTH - LEFT - RIGHT) * point[0] / max(last, 1.0)
            return x, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (point[1] - low) / (high - low)

        for value in _round_numbers(low, high):
            (x, y), (end, _) = place((0, value)), place((last, value))
            self._line([(x, y), (end, y)], PALE, 1)
            self._write(f"{value:.4g}", x - 6, y, "rm", GREY)
        for step in _round_numbers(0, last):
            self._write(f"{step:,.0f}", place((step, low))[0], HEIGHT - BOTTOM + 5, "mt", GREY)
        self._write(title, LEFT, 10, "lt", INK)
        beside = float(WIDTH - RIGHT)
        for (words, track), colour in reversed(list(zip(tracks.items(), COLOURS, strict=False))):
            self._line([place(point) for point in track], colour, 1.6)
            self._write(words, beside, 10, "rt", colour)
            beside -= self._font.getlength(words) / FINER + 10

    def _line(self, points: Iterable[Point], colour: tuple[int, int, int], width: float) -> None:
        corners = [(FINER * (self._left + x), FINER * (self._top + y)) for x, y in points]
        self._page.line(corners if len(corners) > 1 else corners * 2, colour, round(FINER * width), joint="curve")

    def _write(self, words: str, x: float, y: float, anchor: str, colour: tuple[int, int, int]) -> None:
        at = (FINER * (self._left + x), FINER * (self._top + y))
        self._page.text(at, words, fill=colour, font=self._font, anchor=anchor)


def _domain(values: Sequence[float]) -> Point:
    """From the lowest to the highest value, with some room; from zero where that is near."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return (0.0 if 0 <= low <= 4 * room else low - room), high + room


def _round_numbers(low: float, high: float) -> list[float]:
    """At most six multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
