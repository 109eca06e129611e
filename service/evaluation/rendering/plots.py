"""The drawings of a report: each a pure function from numbers to SVG."""

import math
from collections.abc import Sequence

import numpy as np

from service.drawing.svg import PlotArea, Scale, dots, line, tag, text, ticks
from service.evaluation.figures.data import Classes, Curve, Projection
from service.evaluation.rendering.words import number, plain
from service.evaluation.report.schema import Check, MetricEntry

LIMIT_IN_SIGHT = 1.5
"""A limit is drawn in place while it is at most so many spans of the other marks away; else an arrow points at it."""
CLASSES_SHOWN = 20
LAYERS = 6
"""Both sets are drawn in turns of so many parts, so that neither hides the other."""


def draw_score(name: str, entry: MetricEntry, checks: Sequence[Check]) -> str:
    """One score: a dot on its interval, a diamond where real scores against real, limits as lines."""
    frame = PlotArea(340, 58, left=16, right=16, top=20, bottom=20)
    marks = [entry.value, *(entry.interval or ())]
    if entry.noise_floor is not None:
        marks.append(entry.noise_floor.value)
    limits = [(limit, check.passed) for check in checks if (limit := _limit(check)) is not None]
    low, high = _domain(marks, [limit for limit, _ in limits])
    x, y = frame.across(low, high), 29.0
    drawn = [line(frame.left, y, frame.width - frame.right, y, "axis")]
    for tick in ticks(low, high, 4):
        drawn += [line(x(tick), y - 3, x(tick), y + 3, "axis"), _tick_label(tick, x(tick), frame.height - 4)]
    if entry.interval is not None:
        start, end = (x(value) for value in entry.interval)
        drawn.append(tag("rect", x=start, y=y - 5, width=max(1.0, end - start), height=10, rx=5, kind="interval"))
    if entry.noise_floor is not None:
        at = x(entry.noise_floor.value)
        drawn.append(tag("path", d=f"M{at:.1f} {y - 6}l6 6l-6 6l-6-6z", kind="floor"))
    drawn.append(tag("circle", cx=x(entry.value), cy=y, r=5, kind="value"))
    drawn += [_draw_limit(limit, x, (low, high), "holds" if passed else "fails") for limit, passed in limits]
    return frame.drawing(f"{name}: {number(entry.value)}", *drawn)


def _domain(marks: Sequence[float], limits: Sequence[float]) -> tuple[float, float]:
    low, high = min(marks), max(marks)
    span = (high - low) or abs(high) or 1.0
    near = [limit for limit in limits if low - LIMIT_IN_SIGHT * span <= limit <= high + LIMIT_IN_SIGHT * span]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.08 * ((high - low) or span)
    return (0.0 if 0 <= low <= 2 * margin else low - margin), high + margin


def _draw_limit(limit: float, x: Scale, domain: tuple[float, float], kind: str) -> str:
    low, high = domain
    if limit > high:
        return text(f"limit {plain(limit)} →", 338, 12, text_anchor="end", kind=f"limit {kind}")
    if limit < low:
        return text(f"← limit {plain(limit)}", 2, 12, kind=f"limit {kind}")
    anchor = "start" if x(limit) < 60 else "end" if x(limit) > 280 else "middle"
    label = text(f"limit {plain(limit)}", x(limit), 12, text_anchor=anchor, kind=f"limit {kind}")
    return line(x(limit), 16, x(limit), 42, f"limit {kind}") + label


def _limit(check: Check) -> float | None:
    """The number of a threshold on a metric's value; none for one on a part of it, or on a baseline."""
    name, sign, limit = _split(check.threshold)
    if "." in name or not sign or check.baseline is not None:
        return None
    try:
        return float(limit)
    except ValueError:
        return None


def _split(threshold: str) -> tuple[str, str, str]:
    for sign in ("<=", ">=", "<", ">"):
        name, found, limit = threshold.partition(sign)
        if found:
            return name.strip(), found, limit
    return threshold, "", ""


def draw_projection(projection: Projection) -> str:
    """Both sets on their first two principal components."""
    frame = PlotArea(460, 380, left=10, right=10, top=10, bottom=26)
    both = np.concatenate([projection.real, projection.generated])
    low, high = np.quantile(both, 0.002, axis=0), np.quantile(both, 0.998, axis=0)
    margin = 0.04 * (high - low)
    x = frame.across(low[0] - margin[0], high[0] + margin[0])
    y = frame.upwards(low[1] - margin[1], high[1] + margin[1])
    drawn = []
    for layer in range(LAYERS):
        for points, kind in ((projection.real, "real"), (projection.generated, "made")):
            inside = points[layer::LAYERS].clip(low - margin, high + margin)
            drawn.append(dots([(x(first), y(second)) for first, second in inside], f"dots {kind}"))
    shares = [f"{share:.0%}" for share in projection.shares]
    words = f"first component, {shares[0]} of the variance →"
    drawn.append(text(words, frame.width - frame.right, frame.height - 6, text_anchor="end", kind="tick"))
    drawn.append(
        tag("g", text(f"second, {shares[1]} →", -14, 22, text_anchor="end", kind="tick"), transform="rotate(-90)")
    )
    return frame.drawing("Real and generated samples on two principal components", *drawn)


def draw_classes(classes: Classes) -> str:
    """A pair of bars for each class; of many classes those whose shares differ most."""
    rows = np.arange(len(classes.labels))
    if len(rows) > CLASSES_SHOWN:
        apart = np.abs(classes.generated - classes.real)
        rows = np.argsort(-apart, kind="stable")[:CLASSES_SHOWN]
    labels = [_shortened(str(classes.labels[row])) for row in rows]
    step = 34 if len(rows) <= 12 else 26
    frame = PlotArea(460, step * len(rows) + 34, left=22 + 7.6 * max(map(len, labels)), right=44, top=4, bottom=26)
    longest = float(max(classes.real[rows].max(), classes.generated[rows].max(), 1e-9))
    x = frame.across(0.0, longest)
    drawn = []
    for tick in ticks(0.0, longest, 4):
        drawn.append(line(x(tick), frame.top, x(tick), frame.height - frame.bottom, "grid"))
        drawn.append(text(f"{100 * tick:g} %", x(tick), frame.height - 6, text_anchor="middle", kind="tick"))
    for index, row in enumerate(rows):
        top = frame.top + step * index + 4
        drawn.append(text(labels[index], frame.left - 8, top + step / 2, text_anchor="end", kind="label"))
        thick = step / 2 - 6
        for offset, shares, kind in ((0, classes.real, "real"), (thick + 1, classes.generated, "made")):
            width = x(float(shares[row])) - frame.left
            drawn.append(
                tag(
                    "rect",
                    x=frame.left,
                    y=top + offset,
                    width=max(width, 0.5),
                    height=thick,
                    rx=1.5,
                    kind=f"bar {kind}",
                )
            )
    return frame.drawing("Share of each class among real and generated samples", *drawn)


def draw_curve(curve: Curve, whole: tuple[int, float] | None) -> str:
    """FID against the size of the part that it is computed from, both axes logarithmic; `whole` is the report's own."""
    parts = [
        (int(size), float(value))
        for size, row in zip(curve.sizes, curve.values, strict=True)
        for value in row
        if math.isfinite(value)
    ]
    means = [(int(size), float(np.nanmean(row))) for size, row in zip(curve.sizes, curve.values, strict=True)]
    track = [point for point in [*means, *([whole] if whole else [])] if point[1] > 0]
    shown = [point for point in parts if point[1] > 0]
    if not track:
        return ""
    frame = PlotArea(460, 300, left=52, right=24, top=14, bottom=40)
    sizes, values = [size for size, _ in track], [value for _, value in [*shown, *track]]
    x = frame.across(math.log(sizes[0]) - 0.1, math.log(sizes[-1]) + 0.1)
    low, high = min(values), max(values)
    y = frame.upwards(math.log(low) - 0.12, math.log(high) + 0.12)
    drawn = []
    for value in _decades(low, high):
        drawn.append(line(frame.left, y(math.log(value)), frame.width - frame.right, y(math.log(value)), "grid"))
        drawn.append(text(number(value, 1), frame.left - 8, y(math.log(value)) + 4, text_anchor="end", kind="tick"))
    for index, size in enumerate(sizes):
        if (len(sizes) - 1 - index) % 2 == 0:
            drawn.append(text(f"{size:,}", x(math.log(size)), frame.height - 22, text_anchor="middle", kind="tick"))
    middle = (frame.left + frame.width - frame.right) / 2
    drawn.append(text("generated samples", middle, frame.height - 4, text_anchor="middle", kind="tick"))
    path = " ".join(f"{x(math.log(size)):.1f},{y(math.log(value)):.1f}" for size, value in track)
    drawn.append(tag("polyline", points=path, kind="track"))
    drawn.append(dots([(x(math.log(size)), y(math.log(value))) for size, value in shown], "dots part"))
    if whole:
        drawn.append(tag("circle", cx=x(math.log(whole[0])), cy=y(math.log(track[-1][1])), r=5, kind="value"))
    return frame.drawing("FID of parts of the generated set, by their size", *drawn)


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers; powers alone where these are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    return [
        value
        for power in range(first, last + 1)
        for factor in factors
        if low <= (value := factor * 10.0**power) <= high
    ]


def _tick_label(value: float, x: float, y: float) -> str:
    return text(plain(value), x, y, text_anchor="middle", kind="tick")


def _shortened(label: str) -> str:
    return label if len(label) <= 18 else f"{label[:17]}…"
