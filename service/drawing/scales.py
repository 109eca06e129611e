"""What the colours of an explanation stand for: for its picture, the words below it, and programs that draw it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.drawing.captions import Legend
from service.explanations import Scale
from service.imaging import Pixels

Arrays = Mapping[str, NDArray[Any]]

GREY = ("#000000", "#ffffff")
GLOW = ("#000000", "#ff0000", "#ffff00", "#ffffff")
BRIGHTEST = 0.995
"""So many of the slopes are below the brightest colour: a few pixels would leave the others dark."""
NEARLY_CERTAIN = 0.999
FINEST = 17
"""Digits in which no two numbers are the same."""


def scale_of(method: str, arrays: Arrays, label: str = "") -> Scale:
    """The scale of what a method answered about a label, if it did about one."""
    if method == "occlusion":
        odds = arrays["log_odds"]
        return _scale(f"log-odds of {label}", float(odds.min()), float(odds.max()), colours=GLOW)
    if method == "saliency":
        top = float(np.quantile(arrays["slopes"], BRIGHTEST))
        return _scale(f"change of the logit of {label} with a pixel", 0.0, top)
    if method == "activations":
        maps = arrays["maps"]  # those of one pixel can only be told from each other
        return _scale("activation", float(maps.min()), float(maps.max()), each=maps[0].size > 1)
    quantity, values = (
        ("weight", arrays["kernels"]) if method == "filters" else ("activation at the pixels", arrays["projections"])
    )
    top = float(np.abs(values).max())
    return _scale(quantity, -top, top, each=True)


def _scale(quantity: str, low: float, high: float, *, each: bool = False, colours: tuple[str, ...] = GREY) -> Scale:
    return Scale(quantity=quantity, low=low, high=high, each=each, colours=colours)


def legend_of(method: str, scale: Scale) -> Legend:
    """The scale as it is drawn."""
    low, high = told_apart(scale.low, scale.high)
    if method == "occlusion":
        ends = (f"{low} (p {probability_words(scale.low)})", f"{high} (p {probability_words(scale.high)})")
        return Legend(glow(np.arange(256, dtype=np.uint8)[None])[0], *ends)
    shades = np.arange(256, dtype=np.uint8)[:, None]
    if not scale.each:
        return Legend(shades, low, f"{high}{' and more' if method == 'saliency' else ''}")
    if method == "activations":
        return Legend(shades, "each map's least", "its largest")
    return Legend(shades, "minus the largest of each", "plus the largest; 0 is grey")


def told_apart(low: float, high: float) -> tuple[str, str]:
    """Two numbers in three digits, or in so many more that they are not the same words."""
    for digits in range(3, FINEST):
        words = f"{low:.{digits}g}", f"{high:.{digits}g}"
        if words[0] != words[1] or low == high:
            break
    return words


def odds_words(log_odds: float) -> str:
    """Log-odds, and the probability that they are."""
    return f"{log_odds:.3g} (p {probability_words(log_odds)})"


def probability_words(log_odds: float) -> str:
    """The probability of log-odds, by how much it misses 1 where that is little."""
    rest = math.exp(-abs(log_odds)) / (1 + math.exp(-abs(log_odds)))  # of whichever is less likely
    if log_odds < 0:
        return f"{rest:.2g}"
    return f"{1 - rest:.3g}" if 1 - rest < NEARLY_CERTAIN else f"1-{rest:.1g}"


def glow(shades: Pixels) -> Pixels:
    """Grey (H, W) as the colours of glowing iron (H, W, 3): black, red, yellow, white."""
    heat = 3.0 * shades[:, :, None].astype(np.float64) / 255 - np.arange(3)
    return (255 * heat.clip(0, 1)).round().astype(np.uint8)


def signed(values: NDArray[Any]) -> Pixels:
    """Array as pixels: 0 is grey, the largest magnitude black or white."""
    top = float(np.abs(values).max()) or 1.0
    return (127.5 + 127.5 * values / top).round().astype(np.uint8)


def stretched(values: NDArray[Any], low: float | None = None, high: float | None = None) -> Pixels:
    """Array as pixels: the least, or `low`, black; the largest, or `high`, white."""
    least = float(values.min()) if low is None else low
    most = float(values.max()) if high is None else high
    return (255 * ((values - least) / ((most - least) or 1.0)).clip(0, 1)).round().astype(np.uint8)
