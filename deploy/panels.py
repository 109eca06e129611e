"""Draws the dashboard from what Prometheus answered: one SVG with every panel, as Grafana lays them out."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.drawing.svg import PlotArea, place, tag, text, ticks

COLUMN, LINE = 46.0, 24.0
"""Width and height of one of Grafana's units of space."""
MARGIN = 8.0
LEGENDS = 6
"""So many series are named below a panel, the largest first."""
COLOURS = ("#3274d9", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#c4162a", "#fade2a", "#806eb7")
STYLE = """
svg { background: #f4f5f5; font: 10px sans-serif; fill: #24292e }
.panel { fill: #ffffff; stroke: #d0d4d9 } .axis { stroke: #e3e6e9 } .tick { font-size: 9px; fill: #5a6570 }
.title { font-weight: bold; font-size: 11px } .row { font-size: 14px; font-weight: bold }
.legend { font-size: 9px } .value { font-size: 26px; font-weight: bold }
""".strip()

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """One line of a panel."""

    name: str
    points: Points

    @property
    def last(self) -> float:
        """Its latest value."""
        return self.points[-1][1]


def series_of(legend: str, answered: Iterable[Mapping[str, Any]]) -> list[Series]:
    """Prometheus's answer to one query over a range; values that are no numbers are left out."""
    found = []
    for one in answered:
        points = [(float(at), float(value)) for at, value in one["values"] if math.isfinite(float(value))]
        if points:
            found.append(Series(_named(legend, one["metric"]), points))
    return found


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), legend) or "value"


def draw(dashboard: Path, answers: Mapping[str, Sequence[Series]]) -> str:
    """The whole dashboard; `answers` are the series of each panel by its title."""
    panels = json.loads(dashboard.read_text("utf-8"))["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * LINE + MARGIN
    width = 24 * COLUMN + 2 * MARGIN
    drawn = [_draw(panel, answers.get(panel["title"], ())) for panel in panels]
    size = f'viewBox="0 0 {place(width)} {place(height)}" width="{place(width)}" height="{place(height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="The dashboard under load">'
    return f"{head}<style>{STYLE}</style>{''.join(drawn)}</svg>\n"


def _draw(panel: Mapping[str, Any], series: Sequence[Series]) -> str:
    grid = panel["gridPos"]
    x, y = MARGIN + grid["x"] * COLUMN, grid["y"] * LINE
    width, height = grid["w"] * COLUMN - MARGIN, grid["h"] * LINE - MARGIN
    if panel["type"] == "row":
        return text(panel["title"], x, y + 20, kind="row")
    inside = _value(panel, series, width, height) if panel["type"] == "stat" else _lines(panel, series, width, height)
    frame = tag("rect", x=0, y=0, width=width, height=height, rx=3, kind="panel")
    title = text(panel["title"], 8, 16, kind="title")
    return f'<g transform="translate({place(x)} {place(y)})">{frame}{title}{inside}</g>'


def _value(panel: Mapping[str, Any], series: Sequence[Series], width: float, height: float) -> str:
    words = "–" if not series else worded(series[0].last, panel["fieldConfig"]["defaults"].get("unit", ""))
    return text(words, width / 2, height / 2 + 16, text_anchor="middle", kind="value")


def _lines(panel: Mapping[str, Any], series: Sequence[Series], width: float, height: float) -> str:
    if not series:
        return ""
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    named = sorted(series, key=lambda one: -one.last)[:LEGENDS]
    area = PlotArea(width, height, left=48, right=10, top=26, bottom=16 + 12 * len(named))
    times = [at for one in series for at, _ in one.points]
    values = [value for one in series for _, value in one.points]
    top = max(*values, 0.0) or 1.0
    across, up = area.across(min(times), max(times)), area.upwards(0.0, top)
    drawn = []
    for tick in ticks(0.0, top, 4):
        drawn.append(tag("line", x1=area.left, x2=width - area.right, y1=up(tick), y2=up(tick), kind="axis"))
        drawn.append(text(worded(tick, unit), area.left - 4, up(tick) + 3, text_anchor="end", kind="tick"))
    for number, one in enumerate(sorted(series, key=lambda one: -one.last)):
        path = "M" + "L".join(f"{place(across(at))} {place(up(value))}" for at, value in one.points)
        drawn.append(tag("path", d=path + "h0.1", fill="none", stroke=_colour(number), stroke_width=1.4))
    for number, one in enumerate(named):
        y = height - 12 * (len(named) - number) + 4
        drawn.append(tag("rect", x=area.left, y=y - 7, width=8, height=3, fill=_colour(number)))
        drawn.append(text(f"{one.name}: {worded(one.last, unit)}", area.left + 12, y - 2, kind="legend"))
    return "".join(drawn)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def worded(value: float, unit: str) -> str:
    """A number with its unit, as short as Grafana has it."""
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        power = 0 if value < 1 else min(4, int(math.log2(value) // 10))
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    suffix = {"reqps": "/s", "ops": "/s"}.get(unit, unit.removeprefix("suffix:").rstrip() if ":" in unit else "")
    return f"{value:.3g}{suffix}"
