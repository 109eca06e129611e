"""How far a forecast may be off, from how far earlier ones were: split conformal prediction, Vovk et al., 2005."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Widths(NamedTuple):
    """Half the width of the interval at every step."""

    half: Values | None
    """(H, channels), never narrower than at the step before; None where nothing could be measured."""
    warnings: tuple[str, ...]


def half_widths(errors: Values, starts: Values, horizon: int, level: float, *, lag: int = 1) -> Widths:
    """From errors (starts, leads, channels) of earlier forecasts, what their share `level` stays within at each step.

    The rank is that of conformal prediction, ⌈(starts + 1)·level⌉. Forecasts that overlap or go wrong together are
    worth fewer, and the fewer, the wider: by Student's quantile of that few over that of so many. Those that go on from
    the same values, less than a `lag` apart, are worth one. Steps beyond the measured ones go on with √time.
    """
    from scipy.special import stdtrit  # here, because every front and the command line would load all of scipy for it

    count, leads, _ = errors.shape
    if count == 0 or leads == 0:
        return Widths(None, ("the history is too short to measure how far forecasts of it are off: no interval",))
    warnings = []
    rank = math.ceil((count + 1) * level)
    if rank > count:
        warnings.append(f"the interval rests on {count} earlier forecasts, too few for a level of {level:g}")
    ordered = np.sort(np.nan_to_num(np.abs(errors), nan=np.inf, posinf=np.inf), axis=0)
    tail = (1 + level) / 2
    with np.errstate(over="ignore"):
        worth = np.minimum(independent(errors, starts), 1 + (starts[-1] - starts[0]) / lag)
        widths = ordered[min(rank, count) - 1] * stdtrit(worth, tail) / stdtrit(count, tail)
    half = np.stack([widening(channel) for channel in widths.T], axis=1)  # (leads, channels)
    if horizon > leads:
        beyond = np.sqrt(np.arange(leads + 1, horizon + 1) / leads)[:, None]
        with np.errstate(over="ignore"):
            half = np.concatenate([half, half[-1] * beyond])
        warnings.append(f"beyond step {leads} the interval is extended with the root of time, not measured")
    half = half[:horizon]
    if not np.isfinite(half).all():
        warnings.append(f"earlier forecasts diverged: no interval from step {_first(~np.isfinite(half))} on")
    return Widths(half, tuple(warnings))


def independent(errors: Values, starts: Values) -> Values:
    """How many independent forecasts these are worth at each lead, n/(1 + 2·Σρ), (leads, channels).

    ρ are the correlations of errors (starts, leads, channels) at so many starts apart, as far as they are positive
    (Geyer, Practical Markov chain Monte Carlo, 1992). Never fewer than there are that do not overlap.
    """
    count, leads, _ = errors.shape
    apart = 1 + (starts[-1] - starts[0]) / np.arange(1, leads + 1)[:, None]
    correlations = np.empty_like(errors[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.square(errors).sum(axis=0)
        for lag in range(1, count):
            correlations[lag - 1] = (errors[:-lag] * errors[lag:]).sum(axis=0)
        correlations /= np.where(squares > 0, squares, 1)
    positive = np.logical_and.accumulate(correlations > 0, axis=0)
    worth = count / (1 + 2 * np.sum(correlations, axis=0, where=positive))
    counted: Values = np.clip(np.maximum(worth, apart), 1, count)
    return counted


def widening(widths: Values) -> Values:
    """The closest widths (leads,) that never shrink: runs that would are pooled (Ayer et al., 1955)."""
    means: list[float] = []
    counts: list[int] = []
    for width in widths.tolist():
        means.append(width)
        counts.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            mean, count = means.pop(), counts.pop()
            counts[-1] += count
            means[-1] += (mean - means[-1]) * count / counts[-1] if np.isfinite(means[-1]) else 0.0
    return np.repeat(means, counts)


def _first(where: NDArray[np.bool_]) -> int:
    return int(where.any(axis=1).argmax()) + 1
