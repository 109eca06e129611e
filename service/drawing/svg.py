"""Marks and axes of small drawings, as SVG text; colours and sizes of type are the page's."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class PlotArea:
    """Where the data lie inside a drawing."""

    width: float
    height: float
    left: float = 8
    right: float = 8
    top: float = 8
    bottom: float = 24

    def across(self, low: float, high: float) -> Scale:
        """From data to a place between left and right."""
        return _linear(low, high, self.left, self.width - self.right)

    def upwards(self, low: float, high: float) -> Scale:
        """From data to a place between bottom and top."""
        return _linear(low, high, self.height - self.bottom, self.top)

    def drawing(self, title: str, *marks: str) -> str:
        """The whole drawing; `title` is what is read out instead."""
        label = escape(title, quote=True)
        size = f'viewBox="0 0 {place(self.width)} {place(self.height)}"'
        return f'<svg {size} role="img" aria-label="{label}">{"".join(marks)}</svg>'


def _linear(low: float, high: float, first: float, last: float) -> Scale:
    span = high - low or 1.0
    return lambda value: first + (last - first) * (value - low) / span


def tag(name: str, content: str = "", /, **attributes: float | str) -> str:
    """One element; `kind` is its class, other underscores are hyphens."""
    written = "".join(
        f' {"class" if key == "kind" else key.replace("_", "-")}="{value if isinstance(value, str) else place(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(words: str, x: float, y: float, **attributes: float | str) -> str:
    """Words at a place; what they hold marks nothing up."""
    return tag("text", escape(words), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, kind=kind)


def dots(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Many dots as one path of strokes without length, whose round ends are the dots."""
    return tag("path", d="".join(f"M{place(x)} {place(y)}h0" for x, y in points), kind=kind)


def place(value: float) -> str:
    """A coordinate to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most so many round numbers between two."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]
