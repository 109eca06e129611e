"""A forecast as a drawing for people: the end of the history, what follows, and its interval; a panel a channel."""

import numpy as np
from numpy.typing import NDArray

from service.drawing.svg import PlotArea, Scale, line, place, tag, text, ticks

Values = NDArray[np.float64]

WIDTH, HEIGHT = 860, 200
MOST = 12
"""Channels that are drawn, the first ones."""
SHOWN = 3
"""Horizons of history that are drawn before the forecast, and at least so many steps:"""
SHOWN_LEAST = 60
STYLE = (
    "svg{background:#fff}text{font:12px sans-serif;fill:#444}path{fill:none;stroke-width:1.6;stroke-linejoin:round}"
    ".past{stroke:#1b1b1b}.next{stroke:#d62728}.band{fill:#d62728;fill-opacity:.16}"
    ".axis{stroke:#ccc}.now{stroke:#999;stroke-dasharray:3 3}"
)


def draw_forecast(title: str, history: Values, forecast: Values, ends: tuple[Values, Values] | None) -> str:
    """SVG of a history (T, channels), the steps after it (H, channels) and both ends of their interval."""
    past = history[-max(SHOWN * len(forecast), SHOWN_LEAST) :]
    low, high = ends or (forecast, forecast)
    panels = [
        tag(
            "g",
            _panel(past[:, channel], forecast[:, channel], low[:, channel], high[:, channel]),
            transform=f"translate(0 {24 + channel * HEIGHT})",
        )
        for channel in range(min(forecast.shape[1], MOST))
    ]
    return tag(
        "svg",
        tag("style", STYLE) + text(title, 56, 17) + "".join(panels),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {24 + HEIGHT * len(panels)}",
        role="img",
    )


def _panel(past: Values, forecast: Values, low: Values, high: Values) -> str:
    frame = PlotArea(WIDTH, HEIGHT, left=56, right=16, top=6, bottom=24)
    least, most = _domain(np.concatenate([past, forecast]), low, high)
    x, y = frame.across(1 - len(past), len(forecast)), frame.upwards(least, most)
    before, after = np.arange(1 - len(past), 1), np.arange(1, len(forecast) + 1)

    def points(steps: NDArray[np.int_], values: Values) -> str:
        shown = np.clip(np.nan_to_num(values, nan=most), least, most)
        return "L".join(f"{place(x(step))} {place(y(value))}" for step, value in zip(steps, shown, strict=True))

    band = f"M{points(after, low)}L{points(after[::-1], high[::-1])}Z"
    return (
        _axes(frame, x, y, (1 - len(past), len(forecast)), (least, most))
        + tag("path", d=band, kind="band")
        + tag("path", d=f"M{points(before, past)}", kind="past")
        + tag("path", d=f"M{points(np.append(0, after), np.append(past[-1], forecast))}", kind="next")
    )


def _domain(lines: Values, low: Values, high: Values) -> tuple[float, float]:
    """All of the lines, and of the interval as much as leaves them a third of the height."""
    finite = lines[np.isfinite(lines)]
    least, most = float(finite.min()), float(finite.max())
    span = (most - least) or abs(most) or 1.0
    least, most = (
        max(least - span, min(least, float(np.nanmin(low)))),
        min(most + span, max(most, float(np.nanmax(high)))),
    )
    margin = 0.04 * (most - least or span)
    return least - margin, most + margin


def _axes(frame: PlotArea, x: Scale, y: Scale, steps: tuple[int, int], values: tuple[float, float]) -> str:
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    drawn = [line(x(0), frame.top, x(0), bottom, "now")]
    for value in ticks(*values, 4):
        drawn += [line(frame.left, y(value), right, y(value), "axis")]
        drawn += [text(f"{value:.4g}", frame.left - 6, y(value) + 4, text_anchor="end")]
    drawn += [
        text(f"{step:+.0f}" if step else "0", x(step), bottom + 16, text_anchor="middle") for step in ticks(*steps, 8)
    ]
    return "".join(drawn)
