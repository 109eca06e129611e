"""Points in the plane as a plot, PNG or SVG: every point a dot, every known mode a ring around three deviations."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.imaging import encode_png
from service.packing.stream import Contents, Point, Samples, Whole

SIDE, MARGIN, FOOT = 480, 12, 22
"""Of the plot in pixels: the square, what stays free around it, and the line of words below."""
FINER = 2
"""Drawn so many times as large and made smaller, which smooths the dots."""
DOT, LEAST_RING = 1.6, 5.0
DEVIATIONS = 3.0
"""A sample nearer to a mode than this counts as good (Srivastava et al. 2017, arXiv 1705.07761, section 4.1)."""
POINTS_LIMIT = 10_000
INK, DOTS, RINGS = "#282c34", "#1f62a8", "#d6691b"


class Marks(NamedTuple):
    """What is drawn where, in pixels of the finished plot, y downwards."""

    dots: list[Point]
    rings: list[Point]
    radius: float
    words: str


def place_marks(contents: Contents, points: Samples) -> Marks:
    """Points (n, 2) on the square that the modes span, or they themselves where none is known; x and y to one scale.

    What lies outside, or is no finite number, is left out and counted in the words.
    """
    points = points.astype(np.float64)
    finite = points[np.isfinite(points).all(axis=1)]
    modes = np.array(contents.modes, np.float64).reshape(-1, 2)
    spanning = modes if len(modes) else finite
    low, high = (spanning.min(axis=0), spanning.max(axis=0)) if len(spanning) else (np.zeros(2), np.ones(2))
    half = max(float((high - low).max()) * (0.75 if len(modes) else 0.52), 1e-6)
    scale = (SIDE / 2 - MARGIN) / half

    def placed(values: Samples) -> Samples:
        centred: Samples = (values - (low + high) / 2) * (scale, -scale)
        return centred + SIDE / 2

    dots = placed(finite)
    inside = dots[((dots >= 0) & (dots <= SIDE)).all(axis=1)]
    ring = max(DEVIATIONS * (contents.deviation or 0.0) * scale, LEAST_RING)
    outside = len(points) - len(inside)
    words = f"{len(points):,} points of {contents.model}" + (f", {outside:,} of them outside" if outside else "")
    return Marks(_pairs(inside), _pairs(placed(modes)), ring, words)


class PlotPNG(Whole):
    """The plot as a PNG."""

    limit: ClassVar[int | None] = POINTS_LIMIT

    def finish(self) -> bytes:
        """The PNG."""
        marks = place_marks(self.contents, np.concatenate(self.blocks))
        image = Image.new("RGB", (FINER * SIDE, FINER * (SIDE + FOOT)), "white")
        page = ImageDraw.Draw(image)
        for dot in marks.dots:
            page.ellipse(_around(dot, DOT), fill=DOTS)
        for ring in marks.rings:
            page.ellipse(_around(ring, marks.radius), outline=RINGS, width=FINER)
        place = (FINER * MARGIN, FINER * SIDE)
        page.text(place, marks.words, fill=INK, font=ImageFont.load_default(size=12 * FINER))
        return encode_png(np.asarray(image.resize((SIDE, SIDE + FOOT), Image.Resampling.LANCZOS)))


class PlotSVG(Whole):
    """The plot as an SVG."""

    limit: ClassVar[int | None] = POINTS_LIMIT

    def finish(self) -> bytes:
        """The SVG."""
        return "".join(_elements(place_marks(self.contents, np.concatenate(self.blocks)))).encode()


def _elements(marks: Marks) -> Iterator[str]:
    height = SIDE + FOOT
    size = f'width="{SIDE}" height="{height}" viewBox="0 0 {SIDE} {height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{marks.words}">'
    yield f'<rect width="{SIDE}" height="{height}" fill="#fff"/>'
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in marks.dots)
    yield f'<path d="{dots}" stroke="{DOTS}" stroke-width="{2 * DOT}" stroke-linecap="round"/>'
    for x, y in marks.rings:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{marks.radius:.1f}" fill="none" stroke="{RINGS}"/>'
    type_ = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    yield f'<text x="{MARGIN}" y="{SIDE + 13}" {type_}>{marks.words}</text>'
    yield "</svg>\n"


def _around(centre: Point, radius: float) -> tuple[float, float, float, float]:
    x, y = centre
    return FINER * (x - radius), FINER * (y - radius), FINER * (x + radius), FINER * (y + radius)


def _pairs(values: Samples) -> list[Point]:
    return [(float(x), float(y)) for x, y in values]
