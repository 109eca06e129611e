"""What a history shows of itself: when it comes again, and whether it swings more where it is higher."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SEASONS_LEAST = 3
"""So many seasons have to be known of, to learn from the first and to be judged by the last."""
ALIKE = 0.3
"""Correlation from which steps a season apart are alike."""
NEARLY = 0.75
"""A season is the shortest with so much of the highest correlation: what comes again twice is as alike, or more."""
SHORTEST, LONGEST = 2, 400
"""Steps of a season that is looked for; a longer one can be given."""
ROUNDING = 1e-20
AT_ONCE = 1 << 16
"""So many values are looked at between two pauses, or one channel."""
PARTS = 8
STEEP = 0.5
"""Swings grow by at least so many per cent where the level grows by one, and so regularly."""


def find_season(values: Values, pause: Callable[[], object] = lambda: None) -> int:
    """The season of values (T, channels) in steps, by their autocorrelation; 1 where there is none.

    The autocorrelation is that of the changes from step to step or of what a line leaves, whichever has more of it.
    `pause` is called now and then meanwhile.
    """
    most = min(len(values) // SEASONS_LEAST, LONGEST)
    if most < SHORTEST:
        return 1
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = ROUNDING * values.var(axis=0)
        left = np.diff(values, axis=0), _without_line(values)
        return max(_peak(_autocorrelation(one, most, rounding, pause)) for one in left)[1]


def swings_with_level(values: Values) -> bool:
    """Whether all of values (T, channels) are positive and change more from step to step where they are higher."""
    if len(values) < 2 * PARTS or not (values > 0).all():
        return False
    parts = np.array_split(values, PARTS)
    levels, swings = (
        np.log([part.mean(axis=0) for part in parts]),
        np.log([np.abs(np.diff(part, axis=0)).mean(axis=0) + np.finfo(float).tiny for part in parts]),
    )
    levels, swings = levels - levels.mean(axis=0), swings - swings.mean(axis=0)
    along, squares = (levels * swings).sum(axis=0), (levels**2).sum(axis=0)
    regular = along > STEEP * np.sqrt(squares * (swings**2).sum(axis=0))
    return bool((regular & (along > STEEP * squares)).all())


def _without_line(values: Values) -> Values:
    t = np.linspace(-1, 1, len(values))[:, None]
    centred = values - values.mean(axis=0)
    left: Values = centred - t * (t * centred).sum(axis=0) / (t * t).sum()
    return left


def _autocorrelation(values: Values, most: int, rounding: Values, pause: Callable[[], object]) -> Values:
    """The correlation of values (T, channels) with themselves up to `most` steps later.

    A mean over channels whose variance is more than `rounding`.
    """
    length, channels = values.shape
    parts = np.array_split(values, min(channels, math.ceil(values.size / AT_ONCE)), axis=1)
    products = np.concatenate([_products(part, most, pause) for part in parts], axis=1)
    products /= (length - np.arange(most + 1))[:, None]
    changing = products[0] > rounding
    if not changing.any():
        return np.zeros(most + 1)
    means: Values = (products[:, changing] / products[0, changing]).mean(axis=1)
    return means


def _products(values: Values, most: int, pause: Callable[[], object]) -> Values:
    """Sums of products of values (T, channels), centred, with those up to `most` steps later, (most + 1, channels)."""
    pause()
    spectrum = np.abs(np.fft.rfft(values - values.mean(axis=0), 2 * len(values), axis=0)) ** 2
    products: Values = np.fft.irfft(spectrum, axis=0)[: most + 1]
    return products


def _peak(correlations: Values) -> tuple[float, int]:
    """The highest of the correlations that are peaks, and the shortest lag of those nearly as high; or 0 and 1."""
    inner = correlations[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlations[:-2]) & (inner >= correlations[2:]) & (inner > ALIKE))
    if not len(peaks):
        return 0.0, 1
    heights = correlations[peaks]
    first = int(peaks[heights >= NEARLY * heights.max()][0])
    around = correlations[first : first + first // 2 + 1]  # noise makes several peaks of one
    return float(heights.max()), first + int(around.argmax())
