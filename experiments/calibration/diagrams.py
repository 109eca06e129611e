"""Reliability diagrams as SVG: how often a classifier is right beside how sure it says that it is."""

from experiments.calibration.record import Diagram, Measurement
from service.drawing.svg import PlotArea, line, tag, text

SIDE, HEAD = 240, 26
STYLE = (
    "svg{background:#fff}text{font:11px sans-serif;fill:#444}.right{fill:#4878a8}.gap{fill:#d62728;fill-opacity:.3}"
    ".axis{stroke:#ccc}.ideal{stroke:#1b1b1b;stroke-dasharray:3 3}.share{fill:#999}"
)
FEWEST = 20
"""Images of a bin, of which fewer say nothing and are not drawn."""


def draw(found: Measurement) -> str:
    """A diagram before the temperature and one after it, side by side."""
    panels = (("T = 1", found.before), (f"T = {found.temperature:.3g}", found.after))
    drawn = [
        tag("g", _panel(f"{found.model}, {words}", diagram), transform=f"translate({place * SIDE} {HEAD})")
        for place, (words, diagram) in enumerate(panels)
    ]
    return (
        tag(
            "svg",
            tag("style", STYLE) + "".join(drawn),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {2 * SIDE} {HEAD + SIDE}",
            role="img",
        )
        + "\n"
    )


def _panel(title: str, diagram: Diagram) -> str:
    area = PlotArea(SIDE, SIDE, left=34, right=10, top=4, bottom=34)
    x, y = area.across(0, 1), area.upwards(0, 1)
    marks = [text(title, x(0), -8)]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        marks += [line(x(0), y(tick), x(1), y(tick), "axis")]
        marks += [text(f"{tick:g}", x(0) - 5, y(tick) + 4, text_anchor="end")]
        marks += [text(f"{tick:g}", x(tick), y(0) + 14, text_anchor="middle")]
    bins = len(diagram.counts)
    for place, count in enumerate(diagram.counts):
        if count >= FEWEST:
            left, width = x(place / bins) + 1, x(1 / bins) - x(0) - 2
            right, sure = diagram.accuracy[place], diagram.confidence[place]
            low, high = sorted((right, sure))
            marks += [tag("rect", x=left, y=y(right), width=width, height=y(0) - y(right), kind="right")]
            marks += [tag("rect", x=left, y=y(high), width=width, height=y(low) - y(high), kind="gap")]
    marks += [line(x(0), y(0), x(1), y(1), "ideal")]
    marks += [text("how sure", x(0.5), y(0) + 28, text_anchor="middle")]
    return "".join(marks)
